import { equalOctets } from '../../bytes/octets.js';
import { encodePana, FLAG, MESSAGE_TYPE, type PanaAvp } from '../wire/codec.js';
import { makeAvp } from '../wire/dictionary.js';
import { Channel } from './channel.js';
import { algorithmAvps, chooseAlgorithms, chooseEncryption, Run } from './key-agreement.js';
import type { PacOutput } from './pac-interface.js';
import { UNASKED_OFFER_WAIT } from './pac-offers.js';
import {
  close,
  forget,
  type Initial,
  initial,
  NOTHING_OFFERED,
  type PacContext,
  type PacState,
  type PacStep,
  type Session,
  type WaitEapMsg,
  type WaitPaa,
} from './pac-state.js';
import { PciTimer } from './pci-timer.js';
import { authentication } from './requests.js';
import { dropped, type Received, replays, type Send, sends } from './session.js';
import { after, stay } from './step.js';

/** From PCI to the first PAR without S: RFC 5191 4.1, RFC 5609 7.5 INITIAL. */

/** The states in which PAR[S] may be valid. */
type Starting = Initial | WaitPaa | WaitEapMsg;

// INITIAL    AUTH_USER  | first time         | Tx PCI; RTX+        | INITIAL
export function start(context: PacContext, state: PacState, now: number): PacStep {
  if (state.name !== 'INITIAL' || state.pci) return stay(state);
  const { config, drbg } = context;
  return { state: { ...state, pci: PciTimer.start(config.pci, now, drbg) }, out: [pci(context)] };
}

/**
 * Not RFC: RFC 5191 9 lets the interval of PCI grow to PCI_MRT. If the node may be on another link, PCI is sent at once
 * and its timer is restarted.
 */
export function startAnew(context: PacContext, state: Initial, now: number): PacStep {
  return state.pci ? start(context, { ...state, pci: undefined }, now) : stay(state);
}

function pci({ config, offers }: PacContext): Send {
  offers.asked();
  const flags = config.preAuthentication ? FLAG.E : 0;
  const octets = encodePana({ type: MESSAGE_TYPE.PCI, flags, sessionId: 0, sequence: 0, avps: [] });
  return { type: 'send', octets };
}

/** Handles the time limit of the offer in INITIAL. */
export function tickInitial(context: PacContext, state: Initial, now: number): PacStep {
  const { offered } = state;
  if (offered.name === 'none' || now < offered.until) return stay(state);
  const without: Initial = { ...state, offered: NOTHING_OFFERED };
  if (offered.name === 'eap') return stay(without);
  context.offers.settleForPlain();
  return parStart(context, without, offered.par, now);
}

// any        RTX timeout| below the limit    | send again          | same
// any        RTX timeout| limit reached      | DISC                | CLOSED
export function tickPci(context: PacContext, state: PacState, now: number): PacStep {
  if (!('pci' in state) || !state.pci || now < state.pci.at) return stay(state);
  const next = state.pci.next(now, context.drbg);
  return next ? { state: { ...state, pci: next }, out: [pci(context)] } : close(state, 'no-answer');
}

/**
 * Not RFC: the PAA did not continue this start, and PCI is still being sent. The start is discarded but the attempt
 * continues; only the limits of PCI end it. Returns undefined in other states.
 */
export function abandonStart(state: PacState, now: number): Initial | undefined {
  if (state.name !== 'WAIT_PAA' || !state.pci || state.session.begun || now < state.until) return undefined;
  forget(state.session);
  return initial(state.pci, NOTHING_OFFERED);
}

/** Handles PAR[S]. The offer in it is accepted until the first PAR without S (RFC 5191 4.1). */
export function parStart(context: PacContext, state: PacState, par: Received, now: number): PacStep {
  if (state.name !== 'INITIAL' && state.name !== 'WAIT_PAA' && state.name !== 'WAIT_EAP_MSG') return unexpected(state);
  if (state.name !== 'INITIAL' && state.session.begun) return unexpected(state);
  const { config, drbg, offers } = context;
  // RFC 5873 3, 5: a PAA that does not pre-authenticate answers without E.
  const preAuthenticates = config.preAuthentication === true;
  if (((par.message.flags & FLAG.E) !== 0) !== preAuthenticates) return stay(state, [dropped('pre-authentication')]);
  const offered = {
    prf: par.values['PRF-Algorithm'],
    integrity: par.values['Integrity-Algorithm'],
    encryption: par.values['Encryption-Algorithm'],
  };
  const algorithms = chooseAlgorithms(config, offered.prf, offered.integrity);
  const isRepeated = state.name !== 'INITIAL' && equalOctets(par.octets, state.session.iPar);
  if (algorithms === 'none' && !isRepeated) return stay(state, [{ ...dropped('no-algorithm'), offered }]);
  const isClear = algorithms === undefined || algorithms === 'none';
  // RFC 5873 3: without a key the PAA could not know who arrives.
  if (preAuthenticates && isClear) return stay(state, [{ ...dropped('no-algorithm'), offered }]);
  const ciphers = isClear ? [] : offered.encryption;
  if (chooseEncryption(config.encryption ?? 'off', ciphers) === 'none' && !isRepeated)
    return stay(state, [{ ...dropped('no-encryption'), offered }]);
  context.liveness.heard(now);
  const heard: Starting = { ...state, pci: state.pci?.heard(now, drbg) };
  // WAIT_PAA   PAR[S]     | the same again     | Tx PAN[S] again     | WAIT_PAA
  if (heard.name !== 'INITIAL' && isRepeated)
    return stay(heard, replays(heard.session.channel.replay(par.octets, undefined, now)));
  const before = heard.name === 'INITIAL' ? heard.plainOffers : undefined;
  const capability = par.values['Mobility-Capability'];
  const verdict = offers.judge(capability, { before, asks: heard.pci !== undefined });
  return verdict === 'take' ? take(context, heard, par, now) : refuse(context, heard, par, verdict, now);
}

function unexpected(state: PacState): PacStep {
  return stay(state, [dropped('unexpected')]);
}

/** Handles a plain offer that is not accepted now. */
function refuse(
  context: PacContext,
  state: Starting,
  par: Received,
  verdict: 'drop' | 'ask' | 'keep',
  now: number,
): PacStep {
  const out: PacOutput[] = [dropped('no-mobility')];
  if (state.name !== 'INITIAL') return stay(state, out);
  const counted: Initial = { ...state, plainOffers: state.plainOffers + 1 };
  // INITIAL    PAR[S]     | plain, wants more  | Tx PCI              | INITIAL
  if (verdict === 'ask') return stay(counted, [...out, pci(context)]);
  if (verdict === 'drop') return stay(counted, out);
  const until = state.offered.name === 'plain' ? state.offered.until : now + UNASKED_OFFER_WAIT;
  return stay({ ...counted, offered: { name: 'plain', par, until } }, out);
}

function take(context: PacContext, state: Starting, par: Received, now: number): PacStep {
  const { config } = context;
  const until = now + config.failedSessionTimeout;
  const packet = par.values['EAP-Payload'];
  const restart: PacOutput[] = [{ type: 'eapRestart' }];
  if (packet) restart.push({ type: 'eapPacket', packet });
  // INITIAL    PAR[S] with EAP-Payload | pb      | EAPrestart; EAP(m)  | INITIAL
  if (packet && config.piggyback) return { state: initial(state.pci, { name: 'eap', par, until }), out: restart };
  // INITIAL    PAR[S]     | no EAP-Payload     | EAPrestart; PAN[S]  | WAIT_PAA
  // INITIAL    PAR[S]     | EAP-Payload, no pb | …; EAP(m); PAN[S]   | WAIT_EAP_MSG
  const { session, out } = answerStart(context, par, undefined);
  const next: PacState = packet
    ? { name: 'WAIT_EAP_MSG', session, pci: state.pci, replyBy: undefined, until }
    : { name: 'WAIT_PAA', session, pci: state.pci, until };
  return { state: next, out: [...out, ...restart] };
}

// INITIAL    EAP_RESPONSE                      | Tx PAN[S](EAP)      | WAIT_PAA
export function answerWithEap(context: PacContext, state: Initial, packet: Uint8Array, now: number): PacStep {
  if (state.offered.name !== 'eap') return stay(state);
  const { session, out } = answerStart(context, state.offered.par, packet);
  const until = now + context.config.failedSessionTimeout;
  return after(out, stay({ name: 'WAIT_PAA', session, pci: state.pci, until }));
}

/** Sends PAN[S] and creates the session of this start. A session from an older PAR[S] is discarded. */
function answerStart(
  { config, drbg, firstSequence, offers }: PacContext,
  par: Received,
  packet: Uint8Array | undefined,
): { session: Session; out: PacOutput[] } {
  const chosen = chooseAlgorithms(config, par.values['PRF-Algorithm'], par.values['Integrity-Algorithm']);
  const cipher = chooseEncryption(config.encryption ?? 'off', par.values['Encryption-Algorithm']);
  const encryption = cipher === 'none' ? undefined : cipher;
  const algorithms = chosen === 'none' || !chosen ? undefined : { ...chosen, encryption };
  const channel = new Channel(drbg, config.request, par.message.sessionId, firstSequence);
  channel.preAuthenticates = config.preAuthentication === true;
  channel.accept(par.message, par.octets);
  const avps: PanaAvp[] = [...algorithmAvps(algorithms)];
  if (packet) avps.push(makeAvp('EAP-Payload', packet));
  const wish = offers.answerTo(par.values['Mobility-Capability']);
  if (wish !== 0) avps.push(makeAvp('Mobility-Capability', wish, config.vendorId));
  const sent = channel.answer(authentication(FLAG.S, avps));
  const [iPan = new Uint8Array(0)] = sent === 'too-long' ? [] : sent;
  const run = new Run(true, algorithms, drbg);
  const session = {
    channel,
    wish,
    iPar: par.octets,
    iPan,
    algorithms,
    run,
    keys: undefined,
    begun: false,
    silent: false,
    arriving: false,
    awaited: false,
  };
  return { session, out: sends(sent) };
}
