import type { Place } from '../protocol/attachment/mobile-binding.js';
import {
  type ServiceBinding,
  ServiceBindings,
  type ServiceHook,
  type ServiceInput,
  type ServiceOutput,
} from '../protocol/attachment/service-bindings.js';
import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import { serviceFields } from '../protocol/mip6/services.js';
import type { HookRunner } from '../runtime/hooks/runner.js';
import type { LogFields, Logger } from '../runtime/log/events.js';
import { sessionText } from '../runtime/log/pana-fields.js';
import type { Guard } from '../runtime/service/barrier.js';
import { Driver } from '../runtime/system/driver.js';
import type { Host } from '../runtime/system/host.js';
import { type PacOptions, pskRootOf } from './options.js';

/** Drives the machine that keeps the services besides Mobile IPv6 of this node: logs its decisions, runs its hook. */
export class NodeServices {
  readonly #options: PacOptions;
  readonly #log: Logger;
  readonly #hooks: HookRunner;
  readonly #machine: ServiceBindings;
  readonly #driver: Driver<ServiceInput, ServiceOutput>;

  constructor(options: PacOptions, log: Logger, hooks: HookRunner, guard: Guard, host: Host) {
    this.#options = options;
    this.#log = log;
    this.#hooks = hooks;
    const { mobility } = options;
    this.#machine = new ServiceBindings({ services: mobility.services, root: pskRootOf(mobility) });
    this.#driver = new Driver<ServiceInput, ServiceOutput>(
      this.#machine,
      (output) => this.#perform(output),
      host,
      (error, input) => guard.fault(input.type === 'tick' ? 'timer' : 'datagram', error),
    );
  }

  /** The services that the node has now. */
  status(): object[] {
    return this.#machine.bindings.map((binding) => fieldsOf(binding));
  }

  feed(input: Exclude<ServiceInput, { type: 'tick' }>): void {
    this.#driver.feed(input);
  }

  stop(): void {
    this.#driver.stop();
  }

  #perform(output: ServiceOutput): void {
    switch (output.type) {
      case 'completed':
        this.#log.info(fieldsOf(output.binding), 'service assigned');
        break;
      case 'refreshed':
        this.#log.info(fieldsOf(output.binding), 'service renewed');
        break;
      case 'withdrawn':
        this.#log.info(fieldsOf(output.binding), 'service withdrawn');
        break;
      case 'unavailable':
        this.#log.warn({ service: output.service, reason: output.reason }, 'service unavailable');
        break;
      case 'hook':
        this.#hook(output);
        output.key?.wipe();
    }
  }

  #hook({ event, place, binding: { assignment }, key }: ServiceHook): void {
    const { hooks, pana } = this.#options;
    if (hooks.services === undefined) return;
    const { service } = assignment;
    void this.#hooks.run({
      program: hooks.services,
      role: 'mn',
      event,
      subject: `mn ${service}`,
      variables: { service, ...serviceFields(assignment), ...placeVariables(place, pana.interface) },
      psk: key,
    });
  }
}

function placeVariables({ careOfAddress, sessionId, interface: access }: Place, configured: string | undefined) {
  const [address = '', scope] = careOfAddress.split('%');
  const local = parseAddress(address);
  return {
    session: sessionId === undefined ? undefined : sessionText(sessionId),
    careOfAddress: local && formatAddress(local) + (scope === undefined ? '' : `%${scope}`),
    interface: configured ?? access,
  };
}

function fieldsOf({ assignment, fingerprint }: ServiceBinding): LogFields {
  return { service: assignment.service, ...serviceFields(assignment), fingerprint };
}
