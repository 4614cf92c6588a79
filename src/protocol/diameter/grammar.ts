import { DecodeError } from '../bytes/decode-error.js';
import { Reader } from '../bytes/reader.js';
import { AVP_FLAG, type Avp, type DiameterMessage, encodeGroup, FLAG, MAX_NESTING, readAvps } from './codec.js';
import type { CommandSpec } from './commands.js';
import { type AVPS, type AvpName, type Dictionary, type Grammar, specOf } from './dictionary.js';
import { type DataFormat, decodeFormat, encodeFormat, type FormatValues } from './formats.js';
import { RESULT } from './result-codes.js';

type NamesIn<T> = T extends readonly string[] ? Extract<T[number], AvpName> : never;

/** The value of an AVP: of its data format, or for a group its members by name. */
export type ValueOf<N extends AvpName> = (typeof AVPS)[N] extends { readonly group: infer G extends Grammar }
  ? Content<G>
  : (typeof AVPS)[N] extends { readonly type: infer F extends keyof FormatValues }
    ? FormatValues[F]
    : never;

/** What a group or command holds, by the names of its grammar. */
export type Content<G extends Grammar> = {
  readonly [N in NamesIn<G['one']>]: ValueOf<N>;
} & {
  readonly [N in NamesIn<G['maybe']>]?: ValueOf<N> | undefined;
} & {
  readonly [N in NamesIn<G['many']>]?: readonly ValueOf<N>[] | undefined;
} & {
  readonly [N in NamesIn<G['some']>]: readonly ValueOf<N>[];
};

/** Why a message breaks its grammar: what to answer (RFC 6733 7.1.5, 7.5). */
export interface Violation {
  readonly resultCode: number;
  readonly failedAvp: Avp | undefined;
  readonly text: string;
}

export function isViolation(value: unknown): value is Violation {
  return typeof value === 'object' && value !== null && 'resultCode' in value && 'text' in value;
}

/** Reads messages by the grammars of commands, and writes them. */
export class Grammarian {
  readonly dictionary: Dictionary;

  constructor(dictionary: Dictionary) {
    this.dictionary = dictionary;
  }

  /** What a message of this command says, or the first violation. */
  read<S extends CommandSpec>(spec: S, message: DiameterMessage): Content<S> | Violation {
    return this.#read(spec, message.avps, 0) as Content<S> | Violation;
  }

  /** AVPs in the order of the grammar: Session-Id first (RFC 6733 8.8), then as they are named. */
  write<S extends CommandSpec>(spec: S, content: Content<S>): Avp[] {
    return this.#write(spec, content as Readonly<Record<string, unknown>>);
  }

  /** One AVP of the dictionary. */
  avp<N extends AvpName>(name: N, value: ValueOf<N>): Avp {
    return this.#avp(name, value);
  }

  /** The first AVP of this name, read, however broken the rest of the message is; undefined if absent or unreadable. */
  find<N extends AvpName>(avps: readonly Avp[], name: N): ValueOf<N> | undefined {
    const found = avps.find((avp) => this.dictionary.nameOf(avp.code, avp.vendorId) === name);
    if (!found) return undefined;
    const value = this.#value(name, found, 0);
    return isViolation(value) ? undefined : (value as ValueOf<N>);
  }

  /** A message of a command. */
  message<S extends CommandSpec>(
    spec: S,
    applicationId: number,
    content: Content<S>,
    identifiers: { readonly hopByHop: number; readonly endToEnd: number } = { hopByHop: 0, endToEnd: 0 },
  ): DiameterMessage {
    const flags = (spec.request ? FLAG.R : 0) | (spec.proxiable ? FLAG.P : 0);
    return { flags, commandCode: spec.code, applicationId, ...identifiers, avps: this.write(spec, content) };
  }

  #read(grammar: Grammar, avps: readonly Avp[], depth: number): Record<string, unknown> | Violation {
    const rules = rulesOf(grammar);
    const content: Record<string, unknown> = {};
    for (const avp of avps) {
      const name = this.dictionary.nameOf(avp.code, avp.vendorId);
      const rule = name && rules.get(name);
      if (name === undefined) {
        // RFC 6733 4.1: an AVP that is not known matters only with M.
        if (avp.flags & AVP_FLAG.M) return violation(RESULT.AVP_UNSUPPORTED, avp, `AVP ${avp.code} is not known`);
        continue;
      }
      if (rule === 'never') return violation(RESULT.AVP_NOT_ALLOWED, avp, `${name} is not allowed here`);
      if (rule === undefined) continue;
      const value = this.#value(name, avp, depth);
      if (isViolation(value)) return value;
      if (rule === 'list') {
        const list = content[name];
        if (Array.isArray(list)) list.push(value);
        else content[name] = [value];
      } else {
        if (name in content) return violation(RESULT.AVP_OCCURS_TOO_MANY_TIMES, avp, `${name} more than once`);
        content[name] = value;
      }
    }
    for (const name of [...(grammar.one ?? []), ...(grammar.some ?? [])]) {
      if (!(name in content))
        return violation(RESULT.MISSING_AVP, this.#example(name as AvpName), `${name} is missing`);
    }
    return content;
  }

  #value(name: AvpName, avp: Avp, depth: number): unknown {
    const spec = specOf(name);
    try {
      if (spec.type !== 'Grouped') return decodeFormat(spec.type, avp.data);
      if (depth === MAX_NESTING) return violation(RESULT.INVALID_AVP_VALUE, avp, `${name} is nested too deep`);
      const inner = this.#read(spec.group, readAvps(new Reader(avp.data)), depth + 1);
      if (!isViolation(inner)) return inner;
      // RFC 6733 7.5: the failed member inside its groups.
      const failedAvp = inner.failedAvp && { ...avp, data: encodeGroup([inner.failedAvp]) };
      return { ...inner, failedAvp };
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const length = error.code === 'truncated' || error.code === 'leftover' || error.code === 'bad-length';
      const code = length ? RESULT.INVALID_AVP_LENGTH : RESULT.INVALID_AVP_VALUE;
      return violation(code, avp, `${name}: ${error.message}`);
    }
  }

  #write(grammar: Grammar, content: Readonly<Record<string, unknown>>): Avp[] {
    const avps: Avp[] = [];
    for (const name of rulesOf(grammar).keys()) {
      const value = content[name];
      if (value === undefined) continue;
      if (rulesOf(grammar).get(name) === 'list')
        for (const each of value as unknown[]) avps.push(this.#avp(name, each));
      else avps.push(this.#avp(name, value));
    }
    return avps;
  }

  #avp(name: AvpName, value: unknown): Avp {
    const spec = specOf(name);
    const data =
      spec.type === 'Grouped'
        ? encodeGroup(this.#write(spec.group, value as Readonly<Record<string, unknown>>))
        : encodeFormat(spec.type, value as FormatValues[DataFormat]);
    return { code: spec.code, flags: spec.m ? AVP_FLAG.M : 0, vendorId: this.dictionary.vendorOf(name), data };
  }

  /** RFC 6733 7.1.5: an example of what is missing, with the smallest value, of zeros. */
  #example(name: AvpName): Avp {
    const spec = specOf(name);
    const lengths: Partial<Record<string, number>> = {
      Unsigned64: 8,
      Integer64: 8,
      Float64: 8,
      Address: 6,
      Grouped: 0,
      OctetString: 0,
      UTF8String: 0,
      DiameterIdentity: 0,
      DiameterURI: 0,
    };
    const data = new Uint8Array(lengths[spec.type] ?? 4);
    return { code: spec.code, flags: spec.m ? AVP_FLAG.M : 0, vendorId: this.dictionary.vendorOf(name), data };
  }
}

type Rule = 'single' | 'list' | 'never';
const RULES = new WeakMap<Grammar, ReadonlyMap<AvpName, Rule>>();

/** The grammar as a table by name, in its order. */
function rulesOf(grammar: Grammar): ReadonlyMap<AvpName, Rule> {
  const known = RULES.get(grammar);
  if (known) return known;
  const rules = new Map<AvpName, Rule>();
  const add = (names: readonly string[] | undefined, rule: Rule) => {
    for (const name of names ?? []) rules.set(name as AvpName, rule);
  };
  add(grammar.one, 'single');
  add(grammar.some, 'list');
  add(grammar.maybe, 'single');
  add(grammar.many, 'list');
  add(grammar.never, 'never');
  RULES.set(grammar, rules);
  return rules;
}

function violation(resultCode: number, failedAvp: Avp | undefined, text: string): Violation {
  return { resultCode, failedAvp, text };
}
