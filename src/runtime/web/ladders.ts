import { BoundedMap } from '../../protocol/bytes/bounded-map.js';
import type { FeedEvent } from '../log/feed.js';

/** A message from one column to another, or a note at one column (`from` equals `to`). `at`: milliseconds since 1970. */
export type Rung = readonly [at: number, from: number, to: number, text: string];

export type Daemon = 'pana-pac' | 'pana-paa' | 'pana-aaa';

/** The columns of a daemon's ladders. The daemon itself is the column OWN. */
export const COLUMNS: Readonly<Record<Daemon, readonly string[]>> = {
  'pana-pac': ['mobile node', 'access router'],
  'pana-paa': ['client', 'access router', 'AAA server'],
  'pana-aaa': ['access router', 'AAA server', 'home agent'],
};
const OWN: Readonly<Record<Daemon, number>> = { 'pana-pac': 0, 'pana-paa': 1, 'pana-aaa': 1 };

/** What is known of an authentication. */
export interface LadderHead {
  readonly id: number;
  readonly session: string;
  /** The subscriber if known, else the claimed identity, else the address. */
  readonly who: string;
  readonly address: string | undefined;
  readonly startedAt: number;
  readonly state: 'running' | 'authorized' | 'refused' | 'ended';
  /** Why it was refused or has ended. */
  readonly reason: string | undefined;
  /** Milliseconds from the first message to the result. */
  readonly duration: number | undefined;
  readonly homeAgent: string | undefined;
  readonly homeAddress: string | undefined;
  /** Messages that were left out because the ladder is full. */
  readonly more: number;
}

export interface Ladder {
  head: LadderHead;
  readonly rungs: Rung[];
}

/** Ladders of authenticated clients, and of all others: strangers cannot push out those of clients. */
const MAX_AUTHORIZED = 40;
const MAX_OTHERS = 40;

/** Messages of a ladder. Pings are left out. */
const MAX_RUNGS = 100;

/** Places whose first messages, which prove nothing, are kept until the session exists; and how many of each. */
const MAX_PLACES = 64;
const MAX_EARLY = 6;

/** Longest text of a rung in characters. */
const MAX_TEXT = 160;

/** The lowest level of events that are notes. */
const SHOWN_LEVEL = 30;

const NO_SESSION = '00000000';
const PINGS = new Set(['PNR[P]', 'PNA[P]']);
const PEER_MESSAGES = new Set(['CER', 'CEA', 'DWR', 'DWA', 'DPR', 'DPA']);

/** Messages that end a session. */
const LAST_MESSAGES = new Set(['PTR', 'PTA']);

/** Messages that begin an authentication at an AAA server, if none of this session is running. */
const FIRST_MESSAGES = new Set(['DER', 'Access-Request']);

/** Events of a PaC that belong to its newest session. */
const OF_NODE = /^(?:bootstrap|EAP|hook|PAA|Mobile IPv6|session) /;

/** Events that a ladder does not repeat, since messages show them. */
const SILENT = new Set(['message dropped', 'EAP packet discarded']);

/**
 * The last authentications of a daemon as ladders, built from its events. A machine without a clock: times are those of
 * the events. Its memory is bounded whatever strangers send.
 */
export class Ladders {
  readonly #daemon: Daemon;
  /** The PANA session of a Diameter session; undefined: not known. */
  readonly #panaSession: (diameterSession: string) => string | undefined;
  readonly #authorized = new BoundedMap<string, Ladder>(MAX_AUTHORIZED);
  readonly #others = new BoundedMap<string, Ladder>(MAX_OTHERS);
  /** The newest session of each subscriber with a ladder. */
  readonly #sessionOf = new BoundedMap<string, string>(MAX_AUTHORIZED + MAX_OTHERS);
  readonly #early = new BoundedMap<string, Rung[]>(MAX_PLACES);
  readonly #onChange: (ladder: Ladder) => void;
  readonly #onGone: (ladder: Ladder) => void;
  #lastId = 0;

  /** `onChange` is called after a change of a ladder, `onGone` after one was dropped. */
  constructor(
    daemon: Daemon,
    panaSession: (diameterSession: string) => string | undefined,
    onChange: (ladder: Ladder) => void,
    onGone: (ladder: Ladder) => void,
  ) {
    this.#daemon = daemon;
    this.#panaSession = panaSession;
    this.#onChange = onChange;
    this.#onGone = onGone;
  }

  /** All ladders, the oldest first. */
  all(): Ladder[] {
    const all = [...this.#others, ...this.#authorized].map(([, ladder]) => ladder);
    return all.sort((a, b) => a.head.id - b.head.id);
  }

  handle(event: FeedEvent): void {
    if (event.msg === 'message sent' || event.msg === 'message received') this.#message(event);
    else if (!SILENT.has(event.msg)) this.#note(event);
  }

  // ------------------------------------------------------------------------------------------------------ messages

  #message(event: FeedEvent): void {
    const { message = '', peer, diameterSession, session } = event;
    if (PINGS.has(message) || PEER_MESSAGES.has(message)) return;
    const out = event.msg === 'message sent';
    const own = OWN[this.#daemon];
    const other = this.#otherColumn(peer !== undefined);
    const paper = event.paper === undefined || event.paper === message ? '' : ` (${event.paper})`;
    const result = event.resultCode === undefined ? '' : ` ${event.resultCode}`;
    const text = cut(`${message}${paper}${result}`);
    const rung: Rung = [event.at, out ? own : other, out ? other : own, text];
    if (peer !== undefined) {
      const id = diameterSession === undefined ? session : this.#panaSession(diameterSession);
      if (id !== undefined) this.#add(id, rung, event, this.#daemon === 'pana-aaa' && FIRST_MESSAGES.has(message));
      return;
    }
    // Anybody can send a message of any session. A PAA that answers with more than PAR[S] has the session.
    const proves = out && session !== NO_SESSION && message !== 'PAR[S]';
    if (session !== undefined && (this.#find(session) || proves || this.#daemon === 'pana-pac')) {
      this.#addOrKeep(session, rung, event);
    } else this.#keep(event, rung);
  }

  /** The column at the other end of a message: of a peer of Diameter or RADIUS, or of PANA. */
  #otherColumn(isPeer: boolean): number {
    if (this.#daemon === 'pana-pac') return 1;
    if (this.#daemon === 'pana-aaa') return 0;
    return isPeer ? 2 : 0;
  }

  #addOrKeep(session: string, rung: Rung, event: FeedEvent): void {
    // The end of a session whose ladder was dropped is no client that arrives.
    if (LAST_MESSAGES.has(event.message ?? '') && !this.#find(session)) return;
    if (session === NO_SESSION) this.#keep(event, rung);
    else this.#add(session, rung, event, event.message === 'PNR[A]');
  }

  /** Keeps a message that anybody can send, or the answer to it, for the session that may follow. */
  #keep(event: FeedEvent, rung: Rung): void {
    const place = placeOf(event);
    const kept = this.#early.get(place) ?? [];
    if (rung[3].startsWith('PCI') || kept.length >= MAX_EARLY) kept.splice(0, Math.max(0, kept.length - 1));
    kept.push(rung);
    this.#early.set(place, kept);
  }

  // --------------------------------------------------------------------------------------------------------- notes

  #note(event: FeedEvent): void {
    const session = this.#sessionOfNote(event);
    if (session === undefined) {
      this.#keepNote(event);
      return;
    }
    if (event.session !== undefined) this.#addKeptNotes(event, session);
    if (event.msg === 'session ended' && !this.#find(session)) return;
    if (event.level >= SHOWN_LEVEL) this.#add(session, this.#noteRung(event), event);
    const ladder = this.#find(session);
    if (!ladder) return;
    this.#learn(ladder, event);
    this.#onChange(ladder);
  }

  #noteRung(event: FeedEvent): Rung {
    const column = event.role === 'ha' && this.#daemon === 'pana-aaa' ? 2 : OWN[this.#daemon];
    return [event.at, column, column, noteText(event)];
  }

  /** Keeps an event that names a subscriber whose session is not known yet: a lease comes before the result. */
  #keepNote(event: FeedEvent): void {
    const who = subscriberOf(event);
    if (who === undefined || event.level < SHOWN_LEVEL) return;
    const kept = this.#early.get(who) ?? [];
    if (kept.length < MAX_EARLY) kept.push(this.#noteRung(event));
    this.#early.set(who, kept);
  }

  #addKeptNotes(event: FeedEvent, session: string): void {
    const kept = event.nai === undefined ? undefined : this.#early.get(event.nai);
    if (event.nai === undefined || !kept || !this.#find(session)) return;
    this.#early.delete(event.nai);
    for (const rung of kept) this.#add(session, rung, event);
  }

  /** The session that an event concerns, if it may be shown. Events without a session are found by the subscriber. */
  #sessionOfNote(event: FeedEvent): string | undefined {
    const { session, msg } = event;
    if (session !== undefined) return session;
    const who = subscriberOf(event);
    if (who !== undefined && this.#sessionOf.has(who)) return this.#sessionOf.get(who);
    if (this.#daemon !== 'pana-pac' || !OF_NODE.test(msg)) return undefined;
    return this.#newest()?.head.session;
  }

  #learn(ladder: Ladder, event: FeedEvent): void {
    const { head } = ladder;
    const who = event.nai ?? event.identity;
    // Not by the identity: anybody can claim one.
    if (event.nai !== undefined && event.nai !== '') this.#sessionOf.set(event.nai, head.session);
    ladder.head = {
      ...head,
      who: who === undefined || who === '' ? head.who : who,
      homeAgent: event.homeAgent ?? head.homeAgent,
      homeAddress: event.homeAddress ?? head.homeAddress,
    };
    switch (event.msg) {
      case 'session authorized':
      case 'session reauthenticated':
      case 'authentication succeeded':
        this.#settle(ladder, 'authorized', undefined, event.at);
        break;
      case 'session refused':
      case 'authentication failed':
      case 'EAP failed':
        this.#settle(ladder, 'refused', event.resultCode ?? event.reason, event.at);
        break;
      case 'session ended':
        ladder.head = {
          ...ladder.head,
          state: head.state === 'refused' ? 'refused' : 'ended',
          reason: head.reason ?? event.reason,
        };
    }
  }

  #settle(ladder: Ladder, state: 'authorized' | 'refused', reason: string | undefined, at: number): void {
    const { head } = ladder;
    if (head.state !== 'running') return;
    ladder.head = { ...head, state, reason, duration: Math.max(0, at - head.startedAt) };
    if (state !== 'authorized') return;
    this.#others.delete(head.session);
    this.#evict(this.#authorized.set(head.session, ladder));
  }

  // ------------------------------------------------------------------------------------------------------- ladders

  #find(session: string): Ladder | undefined {
    return this.#authorized.get(session) ?? this.#others.get(session);
  }

  #newest(): Ladder | undefined {
    return this.all().at(-1);
  }

  #add(session: string, rung: Rung, event: FeedEvent, isNew = false): void {
    let ladder = this.#find(session);
    if (!ladder || (isNew && ladder.head.state !== 'running')) ladder = this.#begin(session, rung, event, ladder);
    if (ladder.rungs.length < MAX_RUNGS) ladder.rungs.push(rung);
    else ladder.head = { ...ladder.head, more: ladder.head.more + 1 };
    this.#onChange(ladder);
  }

  /** `before`: the ladder of an earlier authentication of this session, which this one replaces. */
  #begin(session: string, rung: Rung, event: FeedEvent, before: Ladder | undefined): Ladder {
    const place = placeOf(event);
    const early = before ? [] : (this.#early.get(place) ?? []);
    if (!before) this.#early.delete(place);
    const startedAt = early[0]?.[0] ?? rung[0];
    this.#lastId += 1;
    const head: LadderHead = {
      id: this.#lastId,
      session,
      who: before?.head.who ?? event.nai ?? event.identity ?? event.address ?? event.peer ?? session,
      address: event.address ?? before?.head.address,
      startedAt,
      state: 'running',
      reason: undefined,
      duration: undefined,
      homeAgent: before?.head.homeAgent,
      homeAddress: before?.head.homeAddress,
      more: 0,
    };
    const ladder = { head, rungs: early };
    if (before) {
      this.#authorized.delete(session);
      this.#others.delete(session);
      this.#onGone(before);
    }
    // A client that authenticates again has proven who it is.
    this.#evict((before ? this.#authorized : this.#others).set(session, ladder));
    return ladder;
  }

  #evict(evicted: readonly [string, Ladder] | undefined): void {
    if (evicted) this.#onGone(evicted[1]);
  }
}

/** The subscriber of an event. The subject of a hook is its role and a subscriber. */
function subscriberOf({ nai, subject }: FeedEvent): string | undefined {
  return nai ?? subject?.slice(subject.indexOf(' ') + 1);
}

/** Where a message of PANA comes from or goes to. */
function placeOf({ address = '', port = 0 }: FeedEvent): string {
  return `${address}|${port}`;
}

function noteText({ msg, reason, resultCode, line, event, try: tries, duration, homeAddress }: FeedEvent): string {
  const words = [
    msg as string,
    event,
    line,
    homeAddress,
    resultCode,
    reason,
    tries !== undefined && tries > 1 ? `try ${tries}` : undefined,
    duration === undefined ? undefined : `${Math.round(duration)} ms`,
  ];
  return cut(words.filter((word) => word !== undefined).join(' · '));
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
