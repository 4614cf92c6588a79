import { DecodeError } from '../../bytes/decode-error.js';
import { Reader } from '../../bytes/reader.js';
import { Secret } from '../../bytes/secret.js';
import { AVP_FLAG, type Avp, type DiameterMessage, encodeGroup, FLAG, readAvps } from './codec.js';
import { APPLICATION, type CommandSpec } from './commands.js';
import { AVPS, type AvpName, type Dictionary, type Grammar, type SimpleSpec, specOf } from './dictionary.js';
import { type DataFormat, decodeFormat, encodeFormat, type FormatValues } from './formats.js';
import { RESULT } from './result-codes.js';

type NamesIn<T> = T extends readonly string[] ? Extract<T[number], AvpName> : never;

/**
 * The decoded value of an AVP. The value of a group is its members by name, or undecoded AVPs if the group may contain
 * any AVP.
 */
export type ValueOf<N extends AvpName> = (typeof AVPS)[N] extends { readonly group: 'any' }
  ? readonly Avp[]
  : (typeof AVPS)[N] extends { readonly group: infer G extends Grammar }
    ? Content<G>
    : (typeof AVPS)[N] extends { readonly type: infer F extends keyof FormatValues }
      ? FormatValues[F]
      : never;

/** The content of a group or command by the names of its grammar. */
export type Content<G extends Grammar> = {
  readonly [N in NamesIn<G['one']>]: ValueOf<N>;
} & {
  readonly [N in NamesIn<G['maybe']>]?: ValueOf<N> | undefined;
} & {
  readonly [N in NamesIn<G['many']>]?: readonly ValueOf<N>[] | undefined;
} & {
  readonly [N in NamesIn<G['some']>]: readonly ValueOf<N>[];
};

/** The content of a command: `Message<typeof DEA>['Result-Code']` is a number. */
export type Message<S extends CommandSpec> = Content<S>;

/** How a message violates its grammar, and how to answer (RFC 6733 7.1.5, 7.5). */
export interface Violation {
  readonly resultCode: number;
  readonly failedAvp: Avp | undefined;
  readonly text: string;
}

export function isViolation(value: unknown): value is Violation {
  return typeof value === 'object' && value !== null && 'resultCode' in value && 'text' in value;
}

type Values = Readonly<Record<string, unknown>>;

/** Reserved flag bits of an AVP, RFC 6733 4.1. */
const RESERVED_AVP_FLAGS = 0x1f;

/**
 * Decodes and encodes messages by the grammars of commands. The nesting of groups is limited by the dictionary, not by
 * the message.
 */
export class Grammarian {
  readonly dictionary: Dictionary;

  constructor(dictionary: Dictionary) {
    this.dictionary = dictionary;
  }

  /** Decodes a message of this command, or returns the first violation. Unknown AVPs stay in the message. */
  read<S extends CommandSpec>(spec: S, message: DiameterMessage): Content<S> | Violation {
    return checkApplication(spec, message, this.#read(spec, message.avps)) as Content<S> | Violation;
  }

  /**
   * Like `read`, but a violation in an AVP of `optional` does not reject the message. In that case the content has none
   * of the AVPs of `optional`, and `spared` gives the reason.
   */
  readSparing<S extends CommandSpec>(
    spec: S,
    message: DiameterMessage,
    optional: ReadonlySet<AvpName>,
  ): { readonly content: Content<S>; readonly spared: Violation | undefined } | Violation {
    const sound: Avp[] = [];
    let spared: Violation | undefined;
    for (const avp of message.avps) {
      const name = this.dictionary.nameOf(avp.code, avp.vendorId);
      if (name !== undefined && optional.has(name)) spared ??= this.#check(spec, sound, avp);
      sound.push(avp);
    }
    const avps = spared ? sound.filter((avp) => !this.#isOne(optional, avp)) : sound;
    const content = this.read(spec, { ...message, avps });
    return isViolation(content) ? content : { content, spared };
  }

  /** Encodes AVPs in the order of the grammar: Session-Id first (RFC 6733 8.8), then in the order of names. */
  write<S extends CommandSpec>(spec: S, content: Content<S>): Avp[] {
    return this.#write(spec, content as Values);
  }

  /** Encodes one AVP of the dictionary. */
  avp<N extends AvpName>(name: N, value: ValueOf<N>): Avp {
    return this.#avp(name, value);
  }

  /**
   * Decodes the first AVP of this name, even if the rest of the message is malformed. Undefined if it is absent or
   * cannot be decoded.
   */
  find<N extends AvpName>(avps: readonly Avp[], name: N): ValueOf<N> | undefined {
    const found = avps.find((avp) => this.dictionary.nameOf(avp.code, avp.vendorId) === name);
    if (!found) return undefined;
    const value = this.#value(name, found);
    return isViolation(value) ? undefined : (value as ValueOf<N>);
  }

  /** Creates a message of a command. The identifiers of a request are set when it is sent. */
  message<S extends CommandSpec>(
    spec: S,
    applicationId: number,
    content: Content<S>,
    identifiers: { readonly hopByHop: number; readonly endToEnd: number } = { hopByHop: 0, endToEnd: 0 },
  ): DiameterMessage {
    const flags = (spec.request ? FLAG.R : 0) | (spec.proxiable ? FLAG.P : 0);
    return { flags, commandCode: spec.code, applicationId, ...identifiers, avps: this.write(spec, content) };
  }

  /**
   * RFC 6733 7.1.5: an example of an AVP that is missing or has a wrong length. Its value has the minimum length and
   * consists of zeros.
   */
  example(code: number, vendorId: number | undefined): Avp {
    const name = this.dictionary.nameOf(code, vendorId);
    const spec = name && specOf(name);
    const length = spec ? SMALLEST[spec.type] : 0;
    return { code, flags: spec?.m ? AVP_FLAG.M : 0, vendorId, data: new Uint8Array(length) };
  }

  #isOne(names: ReadonlySet<AvpName>, avp: Avp): boolean {
    const name = this.dictionary.nameOf(avp.code, avp.vendorId);
    return name !== undefined && names.has(name);
  }

  /** Checks one AVP. `before`: the AVPs that precede it. */
  #check(grammar: Grammar, before: readonly Avp[], avp: Avp): Violation | undefined {
    const content: Record<string, unknown> = {};
    const alike = before.filter(({ code, vendorId }) => code === avp.code && vendorId === avp.vendorId);
    for (const each of [...alike, avp]) {
      const broken = this.#readOne(rulesOf(grammar), each, content);
      if (broken) return broken;
    }
    return undefined;
  }

  #read(grammar: Grammar, avps: readonly Avp[]): Record<string, unknown> | Violation {
    const rules = rulesOf(grammar);
    const content: Record<string, unknown> = {};
    for (const avp of avps) {
      const broken = this.#readOne(rules, avp, content);
      if (broken) return this.#given(broken, content);
    }
    for (const [name, { required }] of rules) {
      if (!required || name in content) continue;
      const example = this.example(specOf(name).code, this.dictionary.vendorOf(name));
      return this.#given(violation(RESULT.MISSING_AVP, example, `${name} is missing`), content);
    }
    return content;
  }

  /** Wipes the keys in AVPs that were decoded before a violation. */
  #given(broken: Violation, content: Values): Violation {
    for (const value of Object.values(content)) if (value instanceof Secret) value.wipe();
    return broken;
  }

  #readOne(rules: Rules, avp: Avp, content: Record<string, unknown>): Violation | undefined {
    const name = this.dictionary.nameOf(avp.code, avp.vendorId);
    if (name === undefined) {
      // RFC 6733 4.1: an unknown AVP is an error only if it has the M flag.
      if ((avp.flags & AVP_FLAG.M) === 0) return undefined;
      return violation(RESULT.AVP_UNSUPPORTED, avp, `unknown AVP ${avp.code}`);
    }
    if (avp.flags & RESERVED_AVP_FLAGS) return violation(RESULT.INVALID_AVP_BITS, avp, `${name} with reserved flags`);
    const rule = rules.get(name);
    if (rule === undefined) return this.#unnamed(name, avp);
    if (rule.times === 'never') return violation(RESULT.AVP_NOT_ALLOWED, avp, `${name} is not allowed here`);
    const list = content[name];
    if (rule.times === 'once' && list !== undefined) {
      return violation(RESULT.AVP_OCCURS_TOO_MANY_TIMES, avp, `${name} more than once`);
    }
    const value = this.#value(name, avp);
    if (isViolation(value)) return value;
    if (rule.times === 'once') content[name] = value;
    else if (Array.isArray(list)) list.push(value);
    else content[name] = [value];
    return undefined;
  }

  /** RFC 6733 7.1.5: AVPs that match *[AVP] of the grammar must still conform to their own definition. */
  #unnamed(name: AvpName, avp: Avp): Violation | undefined {
    const value = this.#value(name, avp);
    if (value instanceof Secret) value.wipe();
    return isViolation(value) ? value : undefined;
  }

  #value(name: AvpName, avp: Avp): unknown {
    const spec = specOf(name);
    try {
      if (spec.type !== 'Grouped') return this.#simple(name, spec, avp);
      const members = readAvps(new Reader(avp.data));
      if (spec.group === 'any') return members;
      const inner = this.#read(spec.group, members);
      if (!isViolation(inner)) return inner;
      // RFC 6733 7.5: Failed-AVP contains the failed member within its groups.
      const failedAvp = inner.failedAvp && { ...avp, data: encodeGroup([inner.failedAvp]) };
      return { ...inner, failedAvp };
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const length = error.code === 'truncated' || error.code === 'leftover' || error.code === 'bad-length';
      const code = length ? RESULT.INVALID_AVP_LENGTH : RESULT.INVALID_AVP_VALUE;
      return violation(code, avp, `${name}: ${error.message}`);
    }
  }

  /** Decodes an AVP that is not a group. Throws DecodeError. */
  #simple(name: AvpName, { type, octets, values, closed }: SimpleSpec, avp: Avp): unknown {
    const { length } = avp.data;
    if (octets && (length < octets[0] || length > octets[1])) {
      return violation(RESULT.INVALID_AVP_LENGTH, avp, `${name} of ${length} octets`);
    }
    const value = decodeFormat(type, avp.data);
    if (closed && values?.[value as number] === undefined) {
      return violation(RESULT.INVALID_AVP_VALUE, avp, `${name} has the unknown value ${value}`);
    }
    return value;
  }

  #write(grammar: Grammar, content: Values): Avp[] {
    const avps: Avp[] = [];
    for (const [name, { times }] of rulesOf(grammar)) {
      const value = content[name];
      if (value === undefined) continue;
      if (times === 'many') for (const each of value as readonly unknown[]) avps.push(this.#avp(name, each));
      else avps.push(this.#avp(name, value));
    }
    return avps;
  }

  #avp(name: AvpName, value: unknown): Avp {
    const spec = specOf(name);
    let data: Uint8Array;
    if (spec.type !== 'Grouped') data = encodeFormat(spec.type, value as FormatValues[DataFormat]);
    else if (spec.group === 'any') data = encodeGroup(value as readonly Avp[]);
    else data = encodeGroup(this.#write(spec.group, value as Values));
    return { code: spec.code, flags: spec.m ? AVP_FLAG.M : 0, vendorId: this.dictionary.vendorOf(name), data };
  }
}

/** Minimum length of each type in octets. */
const SMALLEST: Readonly<Record<DataFormat | 'Grouped', number>> = {
  OctetString: 0,
  Key: 0,
  UTF8String: 0,
  DiameterIdentity: 0,
  DiameterURI: 0,
  Grouped: 0,
  Integer32: 4,
  Unsigned32: 4,
  Enumerated: 4,
  Float32: 4,
  Time: 4,
  Address: 6,
  Integer64: 8,
  Unsigned64: 8,
  Float64: 8,
};

interface Rule {
  readonly times: 'once' | 'many' | 'never';
  readonly required: boolean;
}
type Rules = ReadonlyMap<AvpName, Rule>;
const RULES = new WeakMap<Grammar, Rules>();

/** Converts a grammar to a table by name, in its order. */
function rulesOf(grammar: Grammar): Rules {
  const known = RULES.get(grammar);
  if (known) return known;
  const rules = new Map<AvpName, Rule>();
  const add = (names: readonly string[] | undefined, rule: Rule) => {
    for (const name of names ?? []) rules.set(name as AvpName, rule);
  };
  add(grammar.one, { times: 'once', required: true });
  add(grammar.some, { times: 'many', required: true });
  add(grammar.maybe, { times: 'once', required: false });
  add(grammar.many, { times: 'many', required: false });
  add(grammar.never, { times: 'never', required: false });
  RULES.set(grammar, rules);
  return rules;
}

/**
 * RFC 6733 3, 6.8: Auth-Application-Id must equal the application in the header, or, for a base command with
 * application 0, that of the session.
 */
function checkApplication<C extends object>(
  { base }: CommandSpec,
  { applicationId, avps }: DiameterMessage,
  content: C | Violation,
): C | Violation {
  if (isViolation(content) || !('Auth-Application-Id' in content)) return content;
  const id = content['Auth-Application-Id'];
  // In a capabilities exchange the AVP is a list of all applications.
  if (typeof id !== 'number' || id === applicationId || (base && applicationId === APPLICATION.COMMON)) return content;
  const failed = avps.find(({ code, vendorId }) => code === AVPS['Auth-Application-Id'].code && !vendorId);
  const text = `Auth-Application-Id ${id} in a message of application ${applicationId}`;
  return violation(RESULT.INVALID_AVP_VALUE, failed, text);
}

function violation(resultCode: number, failedAvp: Avp | undefined, text: string): Violation {
  return { resultCode, failedAvp, text };
}
