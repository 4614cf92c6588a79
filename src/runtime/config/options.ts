import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { closest, distance } from 'fastest-levenshtein';
import { type Document, isMap, isScalar, LineCounter, type Node, parse, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { OperatorError } from '../system/failure.js';

/** Longest configuration file in octets: some ten thousand peers. Parsing takes long. */
const MAX_FILE = 4 * 1024 * 1024;

/** The sources of values, in order of precedence: flags, environment, file, defaults of the schema. */
export interface OptionSources {
  /** Flag values by the dotted name of the key: `pana.port`. */
  readonly flags: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `PANA_PAC`: the environment variable of `pana.port` is `PANA_PAC_PANA_PORT`. */
  readonly prefix: string;
  /** Path of the YAML file; undefined: none. */
  readonly file: string | undefined;
}

/** A key that holds a value, as flags and `--help` show it. */
export interface OptionKey {
  /** `pana.port` */
  readonly name: string;
  readonly path: readonly string[];
  readonly description: string;
  readonly schema: z.ZodType;
}

type Tree = { [key: string]: unknown };

/** All keys of a schema, without sections. */
export function optionKeys(schema: z.ZodObject, path: readonly string[] = []): OptionKey[] {
  return Object.entries(schema.shape).flatMap(([key, value]) => {
    const here = [...path, key];
    const inner = plain(value as z.ZodType);
    if (inner instanceof z.ZodObject) return optionKeys(inner, here);
    const description = (value as z.ZodType).description ?? '';
    return [{ name: here.join('.'), path: here, description, schema: value as z.ZodType }];
  });
}

/** The environment variable of a key. */
export function environmentName(prefix: string, name: string): string {
  return `${prefix}_${name.toUpperCase().replaceAll(/[.-]/g, '_')}`;
}

/** The inner schema, without default and optional wrappers. */
export function plain(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return plain(schema.unwrap() as z.ZodType);
  }
  return schema;
}

/** The schema of what is written in a file, without default and transformation. A duration stays as it is. */
export function written(schema: z.ZodType): z.ZodType {
  const inner = plain(schema);
  if (!(inner instanceof z.ZodPipe) || isDuration(inner)) return inner;
  const [from, to] = [inner.in as z.ZodType, inner.out as z.ZodType];
  return written(from instanceof z.ZodTransform ? to : from);
}

/** Whether values are durations, which are written as text or as a number of seconds. */
export function isDuration(type: z.ZodType): boolean {
  return type instanceof z.ZodPipe && type.in instanceof z.ZodUnion;
}

/**
 * Reads and checks all options. Throws OperatorError that lists every problem with its place (file and line, variable
 * or flag) and the expected value.
 */
export async function loadOptions<S extends z.ZodObject>(schema: S, sources: OptionSources): Promise<z.output<S>> {
  const file = await readFileTree(sources.file);
  const keys = optionKeys(schema);
  const tree = structuredClone(file.tree);
  const places = new Map<string, string>();
  for (const key of keys) {
    const variable = environmentName(sources.prefix, key.name);
    const fromEnvironment = sources.environment[variable];
    const fromFlag = sources.flags[key.name];
    const text = fromFlag ?? fromEnvironment;
    if (text === undefined) continue;
    put(tree, key.path, fromText(key.schema, text));
    places.set(key.name, fromFlag === undefined ? variable : `--${key.name}`);
  }
  const result = schema.safeParse(tree, { reportInput: true, jitless: true });
  if (result.success) return result.data;
  const other = otherDaemon(schema, file.tree);
  if (other !== undefined) throw new OperatorError(`${sources.file}: this is a configuration of ${other}`);
  const problems = result.error.issues.flatMap((issue) => explain(schema, issue, places, file));
  if (sources.file === undefined && Object.keys(tree).length === 0) {
    problems.push(`no configuration file was given: -c FILE, or ${sources.prefix}_CONFIG in the environment`);
  }
  throw new OperatorError(problems.join('\n'));
}

/** The daemon whose configuration has these sections; undefined: unclear. Only a PAA speaks PANA and an AAA protocol. */
function daemonOf(sections: object): string | undefined {
  if ('relay' in sections) return 'pana-pre';
  const hasServers = 'diameter' in sections || 'radius' in sections;
  if (!('pana' in sections)) return hasServers ? 'pana-aaa' : undefined;
  return hasServers ? 'pana-paa' : 'pana-pac';
}

/** The daemon for which a file was written, if it is not the one of the schema. */
function otherDaemon(schema: z.ZodObject, tree: Tree): string | undefined {
  const [own, given] = [daemonOf(schema.shape), daemonOf(tree)];
  // A section of another daemon, and not one that is only missing.
  const isForeign = Object.keys(tree).some((section) => !(section in schema.shape));
  return own !== undefined && given !== own && isForeign ? given : undefined;
}

/** Parses the text of a flag or variable: unchanged if the key takes text, otherwise as YAML. */
function fromText(schema: z.ZodType, text: string): unknown {
  if (schema.safeParse(text).success) return text;
  try {
    const value: unknown = parse(text);
    // `a,b` is a list of plain words.
    if (written(schema) instanceof z.ZodArray && typeof value === 'string') {
      return value.split(',').map((word) => word.trim());
    }
    return value;
  } catch {
    return text;
  }
}

function put(tree: Tree, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path;
  if (rest.length === 0) {
    tree[key] = value;
    return;
  }
  const inner = tree[key];
  const section: Tree = typeof inner === 'object' && inner !== null ? (inner as Tree) : {};
  tree[key] = section;
  put(section, rest, value);
}

// ---------------------------------------------------------------------------------------------------------- the file

const READING: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file (ENOENT)',
  EACCES: 'this user may not read it, or look into a folder above it (EACCES)',
};

interface FileTree {
  readonly tree: Tree;
  /** `file:line` of a key, or of the innermost section that contains it. */
  place(path: readonly PropertyKey[]): string;
}

async function readFileTree(path: string | undefined): Promise<FileTree> {
  if (path === undefined) return { tree: {}, place: () => 'configuration' };
  if (path === '') throw new OperatorError('-c needs the name of the configuration file');
  const text = await readText(path).catch((error: NodeJS.ErrnoException) => {
    throw new OperatorError(`cannot read the configuration ${path}: ${READING[error.code ?? ''] ?? error.message}`);
  });
  if (text === undefined) {
    const remedy = 'is this the right file?';
    throw new OperatorError(`the configuration ${path} has more than ${MAX_FILE} octets`, { remedy });
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error)
    throw new OperatorError(`${path}:${lines.linePos(error.pos[0]).line}: not YAML: ${yamlProblem(error.message)}`);
  const tree = readDocument(document, (offset) => `${path}:${lines.linePos(offset).line}`) ?? {};
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) {
    throw new OperatorError(`${path}:1: the configuration must be a map of sections, such as "log:" and "pana:"`);
  }
  return { tree: tree as Tree, place: (keys) => `${path}${lineOf(document.contents, keys, lines)}` };
}

/** `identity: @home.example` is a frequent mistake. */
function yamlProblem(message: string): string {
  return message.includes('reserved character') ? `${message}: put the value in quotes` : message;
}

/**
 * The text of a file; undefined: it is longer than MAX_FILE. It may be a pipe of a shell, `-c <(command)`. Another pipe or a
 * device might never come to an end.
 */
async function readText(path: string): Promise<string | undefined> {
  const found = await stat(path);
  const isOfShell = found.isFIFO() && /^\/(dev\/(stdin$|fd\/)|proc\/self\/fd\/)/.test(path);
  if (!found.isFile() && !isOfShell && path !== '/dev/null') throw new Error('it is not a file');
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of createReadStream(path) as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_FILE) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Throws OperatorError for an alias without an anchor, which the parser accepts. `at`: the place of an offset. */
function readDocument(document: Document, at: (offset: number) => string): unknown {
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document)) return;
      throw new OperatorError(`${at(alias.range?.[0] ?? 0)}: not YAML: the alias *${alias.source} has no anchor`);
    },
  });
  try {
    return document.toJS();
  } catch (error) {
    // The parser throws for aliases that expand to too many nodes.
    throw new OperatorError(`${at(0)}: not YAML: ${(error as Error).message}`);
  }
}

function lineOf(root: Node | null, path: readonly PropertyKey[], lines: LineCounter): string {
  let node: unknown = root;
  let offset: number | undefined;
  for (const key of path) {
    const pair = isMap(node) ? node.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
    if (pair) {
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
      continue;
    }
    const items: unknown = typeof key === 'number' && node && (node as { items?: unknown[] }).items;
    const item: unknown = Array.isArray(items) ? items[key as number] : undefined;
    if (!item) break;
    node = item;
    offset = (item as Node).range?.[0] ?? offset;
  }
  return offset === undefined ? '' : `:${lines.linePos(offset).line}`;
}

// ---------------------------------------------------------------------------------------------------------- problems

type Issue = z.core.$ZodIssue;

function explain(schema: z.ZodObject, issue: Issue, places: ReadonlyMap<string, string>, file: FileTree): string[] {
  const name = issue.path.join('.');
  const place = (path: readonly PropertyKey[]) => placeOf(path, places) ?? file.place(path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return `${place(path)}: ${path.join('.')}: unknown key${suggestion(schema, issue.path, key)}`;
    });
  }
  // A key that other keys require is not known to be missing before all of them were read.
  const isMissing = issue.code === 'custom' && issue.params?.['isMissing'] === true;
  if (isMissing || (issue.code === 'invalid_type' && issue.input === undefined)) {
    return [`${place(issue.path)}: ${name} is missing: ${describe(schema, issue.path)}`];
  }
  const wanted = issue.message
    .replace(/^Invalid (input|option): /, '')
    .replace('expected array', 'expected a list, whose items begin with "- "')
    .replace('expected object', 'expected a section with keys')
    .replace(
      /^expected one of (.*)$/,
      (_, values) => `must be one of ${values.replaceAll('"', '').replaceAll('|', ', ')}`,
    )
    .replace(/^Too (big|small): expected \w+ to (be|have) /, (_, __, verb) => `must ${verb} `)
    .replace(/([<>])=(\d)/, (_, sign, digit) => `${sign === '<' ? 'at most' : 'at least'} ${digit}`);
  const at = place(issue.path);
  // A flag has the name of its key.
  return [`${at === `--${name}` ? at : `${at}: ${name}`}: ${wanted}${hint(schema, issue.path)}`];
}

function placeOf(path: readonly PropertyKey[], places: ReadonlyMap<string, string>): string | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const place = places.get(path.slice(0, length).join('.'));
    if (place !== undefined) return place;
  }
  return undefined;
}

function sectionAt(schema: z.ZodObject, path: readonly PropertyKey[]): z.ZodType {
  let here: z.ZodType = schema;
  for (const key of path) {
    const inner = plain(here);
    if (inner instanceof z.ZodObject) here = (inner.shape[String(key)] as z.ZodType | undefined) ?? here;
    else if (inner instanceof z.ZodArray) here = inner.element as z.ZodType;
  }
  return here;
}

function suggestion(schema: z.ZodObject, path: readonly PropertyKey[], key: string): string {
  const section = plain(sectionAt(schema, path));
  if (!(section instanceof z.ZodObject)) return '';
  const known = Object.keys(section.shape);
  const near = closest(key, known);
  if (distance(key, near) <= Math.max(2, key.length / 3)) return `; did you mean "${near}"?`;
  return `; known keys: ${known.join(', ')}`;
}

function describe(schema: z.ZodObject, path: readonly PropertyKey[]): string {
  return sectionAt(schema, path).description ?? 'it is required';
}

function hint(schema: z.ZodObject, path: readonly PropertyKey[]): string {
  const { description } = sectionAt(schema, path);
  return description === undefined ? '' : ` (${description})`;
}
