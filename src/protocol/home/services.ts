import type { Secret } from '../bytes/secret.js';
import { deriveHipToken, deriveMip4Key, fingerprint } from '../keys/kdf.js';
import { CAPABILITY } from '../mip6/assignment.js';
import { decodeService, encodeService, type Service, type ServiceAssignment, servicesOf } from '../mip6/services.js';
import type { Stored } from './alphabet.js';
import type { Bootstrapped, Bootstrapping } from './bootstrap.js';
import type { WithoutService } from './events.js';
import { octetsOf, pskRoot } from './mobility.js';
import type { ServiceLease } from './records.js';
import { reasonOf, type StepContext } from './step-context.js';

/** A bootstrap whose services are being stored. */
export interface ServiceQuestion {
  readonly of: 'services';
  readonly job: Bootstrapping;
  readonly done: Granted;
  readonly root: 'msk' | 'emsk';
}

interface Granted extends Bootstrapped {
  readonly outcome: Exclude<Bootstrapped['outcome'], string>;
}

/**
 * Assigns the services besides Mobile IPv6 that a node requests, after its session was stored. Whatever fails here, the
 * node keeps the rest of what it was granted.
 */
export class ServiceGrants {
  readonly #context: StepContext<ServiceQuestion>;
  readonly #config: { readonly pskRoot: 'msk' | 'emsk'; readonly grace: number };

  constructor(
    context: StepContext<ServiceQuestion>,
    config: { readonly pskRoot: 'msk' | 'emsk'; readonly grace: number },
  ) {
    this.#context = context;
    this.#config = config;
  }

  /** Continues a finished bootstrap. Undefined: the store is asked for services. */
  extend(done: Bootstrapped): Bootstrapped | undefined {
    const { job, outcome } = done;
    const { conversation, success, lifetime } = job;
    const bits = conversation.services ?? 0;
    const wanted = servicesOf(bits);
    if (wanted.length === 0 || typeof outcome === 'string' || 'services' in outcome) return done;
    const { subscriber } = success;
    const root = pskRoot({ bits, local: undefined }, subscriber, this.#config.pskRoot);
    const reason = this.#refusal(job, bits, root);
    if (reason !== undefined) for (const service of wanted) this.#without(job, service, reason);
    const { sessionId } = conversation;
    const leaseLifetime = lifetime * 1000 + this.#config.grace;
    // Also without any: an earlier authentication of the session may have been granted some.
    const services = reason === undefined ? wanted : [];
    const given = { nai: subscriber.nai, sessionId, services, leaseLifetime };
    const question = { of: 'services', job, done: { job, outcome }, root: root ?? 'msk' } as const;
    this.#context.ask({ operation: 'assignServices', given }, question);
    return undefined;
  }

  stored({ job, done, root }: ServiceQuestion, stored: Stored): Bootstrapped {
    const { nai } = job.success.subscriber;
    if (stored.operation !== 'assignServices') {
      this.#context.say({ name: 'storeFailed', reason: reasonOf(stored), nai });
      for (const service of servicesOf(job.conversation.services ?? 0)) this.#without(job, service, 'store');
      return { ...done, outcome: { ...done.outcome, services: {} } };
    }
    const { assigned, refused, released } = stored.result;
    for (const lease of released) this.#context.put({ type: 'service', event: 'down', lease, key: undefined });
    for (const { service, reason } of refused) this.#without(job, service, reason);
    const services: { [S in Service]?: Uint8Array } = {};
    for (const { lease, renewed } of assigned) {
      const octets = this.#bringUp(job, lease, renewed, root);
      if (octets) services[lease.server.service] = octets;
    }
    return { ...done, outcome: { ...done.outcome, services } };
  }

  /** Undefined: the records of the store cannot be given to a node. */
  #bringUp(job: Bootstrapping, lease: ServiceLease, renewed: boolean, root: 'msk' | 'emsk'): Uint8Array | undefined {
    const { nai } = lease;
    const { service } = lease.server;
    const { assignment, key } = assignmentOf(lease, job.success[root], job.lifetime);
    const octets = encodeService(assignment);
    if (typeof decodeService(service, octets) === 'string') {
      key.wipe();
      this.#without(job, service, 'unfit');
      return undefined;
    }
    const event = renewed ? 'refresh' : 'up';
    this.#context.say({
      name: 'serviceGiven',
      nai,
      assignment,
      server: lease.server.name,
      renewed,
      fingerprint: fingerprint(key),
    });
    this.#context.put({ type: 'service', event, lease, key: { secret: key, assignment } });
    return octets;
  }

  #refusal({ success }: Bootstrapping, bits: number, root: 'msk' | 'emsk' | undefined): WithoutService | undefined {
    if (success.hooksBehind) return 'hooks-behind';
    // The access network would see them.
    if (success.subscriber.privacy === 'required' || (bits & CAPABILITY.SEALED) !== 0) return 'privacy-required';
    return root === undefined ? 'psk-root' : undefined;
  }

  #without(job: Bootstrapping, service: Service, reason: WithoutService): void {
    this.#context.say({ name: 'noService', nai: job.success.subscriber.nai, service, reason });
  }
}

/** The assignment of a lease, and its key. The caller wipes the key. `lifetime`: seconds. */
function assignmentOf(
  { server, address }: ServiceLease,
  root: Secret,
  lifetime: number,
): { readonly assignment: ServiceAssignment; readonly key: Secret } {
  if (server.service === 'hip') {
    const hit = octetsOf(server.hit ?? '');
    const rendezvous = octetsOf(server.address);
    const { key, number } = deriveHipToken(root, hit, rendezvous);
    return { key, assignment: { service: 'hip', hit, rendezvous, tokenId: number, lifetime } };
  }
  const homeAgent = octetsOf(server.address);
  const homeAddress = octetsOf(address ?? '');
  const { key, number } = deriveMip4Key(root, homeAgent, homeAddress);
  const prefixLength = Number(server.pool?.split('/')[1]);
  return { key, assignment: { service: 'mip4', homeAgent, homeAddress, prefixLength, spi: number, lifetime } };
}
