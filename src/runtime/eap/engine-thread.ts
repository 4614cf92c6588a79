import { parentPort, workerData } from 'node:worker_threads';
import { readCertificate } from '../../protocol/x509/certificate.js';
import { type Guard, unguarded } from '../service/barrier.js';
import type { ServerEngineAnswer, ServerEngineEnd } from './engine.js';
import {
  type EngineStart,
  type FromEngineThread,
  type HandshakeId,
  optionsOf,
  own,
  type ThreadAnswer,
  type ToEngineThread,
  thrown,
} from './engine-messages.js';
import { TlsServerEngine, type TlsServerHandshake, type TlsServerOptions } from './tls-server.js';

/** Runs a TLS engine in this thread, and converts between messages and the engine's calls. */

const handshakes = new Map<HandshakeId, TlsServerHandshake>();
const { settings } = workerData as EngineStart;

/** Answers that are posted together at the end of the turn, because waking the other thread costs more than to copy one. */
const answers: FromEngineThread[] = [];
const keys: ArrayBuffer[] = [];

function post(message: FromEngineThread): void {
  answers.push(message);
  if (answers.length === 1) queueMicrotask(flush);
}

function flush(): void {
  parentPort?.postMessage(answers.splice(0), keys.splice(0));
}

function fault(error: unknown): void {
  post({ type: 'fault', error: thrown(error) });
}

const guard: Guard = {
  run: (_where, action, end) => {
    try {
      return action();
    } catch (error) {
      fault(error);
      end?.(error);
      return undefined;
    }
  },
  settle: unguarded.settle,
  fault: (_where, error) => fault(error),
};

function complete(options: TlsServerOptions): TlsServerOptions {
  return {
    ...options,
    guard,
    onLearned: (authorities) => post({ type: 'learned', authorities: authorities.map(({ der }) => own(der)) }),
  };
}

const engine = new TlsServerEngine(complete(optionsOf(settings)));

function answer(id: HandshakeId, given: ServerEngineAnswer | ServerEngineEnd): void {
  if (given.type === 'fault') handshakes.delete(id);
  post({ type: 'answer', id, answer: toMessage(given) });
}

function toMessage(given: ServerEngineAnswer | ServerEngineEnd): ThreadAnswer {
  switch (given.type) {
    case 'fault':
      return { type: 'fault', error: thrown(given.error) };
    case 'flight':
      return { type: 'flight', flight: own(given.flight) };
    case 'verified': {
      const { peerIds, dnsNames, serial, issuerId, fingerprint256, notAfter, subject } = given.peer;
      return { ...given, peer: { peerIds, dnsNames, serial, issuerId, fingerprint256, notAfter, subject } };
    }
    case 'finished': {
      const { msk, emsk, sessionId } = given.keys;
      const secrets = [msk.octets(), emsk.octets()] as const;
      for (const each of secrets) keys.push(each.buffer as ArrayBuffer);
      msk.wipe();
      emsk.wipe();
      return { type: 'finished', flight: own(given.flight), msk: secrets[0], emsk: secrets[1], sessionId };
    }
    default:
      return given;
  }
}

function handle(message: ToEngineThread): void {
  switch (message.type) {
    case 'exchange': {
      const { id, flight } = message;
      if (message.begins) handshakes.set(id, engine.begin(flight, 0, message.policy));
      const handshake = handshakes.get(id);
      if (handshake) handshake.exchange(flight, (given) => answer(id, given));
      else post({ type: 'answer', id, answer: { type: 'busy' } });
      break;
    }
    case 'commit': {
      const { id, applicationData } = message;
      const handshake = handshakes.get(id);
      handshakes.delete(id);
      if (handshake) handshake.commit(applicationData, (given) => answer(id, given));
      else post({ type: 'answer', id, answer: { type: 'busy' } });
      break;
    }
    case 'destroy':
      handshakes.get(message.id)?.destroy();
      handshakes.delete(message.id);
      break;
    case 'reload':
      engine.reload(complete(optionsOf(message.settings)));
      break;
    case 'ticketKey':
      engine.setTicketKey(message.key);
      message.key.fill(0);
      break;
    case 'learned':
      engine.learn(message.authorities.map((der) => readCertificate(der)));
  }
}

/** An exception in one message ends its handshake; a thread that cannot reload must not go on. */
function take(message: ToEngineThread): void {
  try {
    handle(message);
  } catch (error) {
    if (message.type !== 'exchange' && message.type !== 'commit') throw error;
    handshakes.delete(message.id);
    post({ type: 'answer', id: message.id, answer: { type: 'fault', error: thrown(error) } });
  }
}

// Warnings of the platform would go to the terminal.
process.removeAllListeners('warning');
parentPort?.on('message', (messages: readonly ToEngineThread[]) => {
  for (const message of messages) take(message);
});
post({ type: 'ready' });
