import { readFile } from 'node:fs/promises';
import type { FoundAgent } from '../protocol/attachment/found-agents.js';
import { HomeAgentSearch, type SearchInput, type SearchOutput } from '../protocol/attachment/home-agent-search.js';
import { receivedAgents } from '../protocol/attachment/received-home.js';
import { formatAddress } from '../protocol/bytes/address.js';
import type { Logger } from '../runtime/log/events.js';
import type { Guard } from '../runtime/service/barrier.js';
import { Driver } from '../runtime/system/driver.js';
import type { MobileNode } from './mobile-node.js';
import type { PacOptions } from './options.js';
import { findSource, NoSourceError } from './source.js';
import type { PacSurroundings } from './surroundings.js';

/** How often the file of the DHCPv6 client is read, in milliseconds. */
const FILE_INTERVAL = 2_000;

/** Wait after a failed query, in milliseconds: first, and longest. */
const DNS_RETRY = { first: 10_000, longest: 300_000 };

export interface FinderTools {
  readonly log: Logger;
  readonly guard: Guard;
  readonly surroundings: PacSurroundings;
  readonly node: Pick<MobileNode, 'found' | 'notFound' | 'homeAddresses'>;
  /** Whether a PAA is answering. */
  readonly isHeard: () => boolean;
  /** The name of the node in its certificate. */
  readonly identity: () => string | undefined;
}

/** Finds home agents outside PANA, as `mobility.discovery` says, and passes them to the node's hooks. */
export class HomeAgentFinder {
  readonly #options: PacOptions;
  readonly #tools: FinderTools;
  readonly #driver: Driver<SearchInput, SearchOutput>;
  readonly #source: 'dns' | 'dhcpv6';
  #isStopped = false;

  private constructor(options: PacOptions, source: 'dns' | 'dhcpv6', tools: FinderTools) {
    this.#options = options;
    this.#source = source;
    this.#tools = tools;
    const config =
      source === 'dns'
        ? { after: options.mobility['dns-after'], ...DNS_RETRY, whileAttached: false }
        : { after: 0, first: FILE_INTERVAL, longest: FILE_INTERVAL, whileAttached: true, held: FILE_INTERVAL };
    this.#driver = new Driver<SearchInput, SearchOutput>(
      new HomeAgentSearch(config),
      (output) => this.#perform(output),
      tools.surroundings.host,
      (error) => tools.guard.fault('timer', error),
    );
  }

  /** Undefined: PANA is the only source. */
  static make(options: PacOptions, tools: FinderTools): HomeAgentFinder | undefined {
    const { discovery, mode } = options.mobility;
    return discovery === 'pana' || mode === 'off' ? undefined : new HomeAgentFinder(options, discovery, tools);
  }

  feed(input: Extract<SearchInput, { type: 'start' | 'attached' | 'detached' | 'heard' | 'networkChanged' }>): void {
    this.#driver.feed(input);
  }

  stop(): void {
    this.#isStopped = true;
    this.#driver.stop();
  }

  #perform(output: SearchOutput): void {
    const { log, guard, node } = this.#tools;
    switch (output.type) {
      case 'search':
        void guard.settle('timer', this.#search(output.token));
        break;
      case 'use':
        void guard.settle('timer', this.#use(output.agent));
        break;
      case 'lost':
        node.notFound({ sessionId: undefined, careOfAddress: '' });
        break;
      case 'unavailable':
        log.warn({ source: this.#source, reason: output.reason }, 'home agent not found');
    }
  }

  async #search(token: number): Promise<void> {
    if (this.#source === 'dns' && this.#tools.isHeard()) {
      this.#driver.feed({ type: 'heard' });
      return;
    }
    try {
      const answer = this.#source === 'dns' ? await this.#ask() : { agents: await this.#read() };
      this.#driver.feed({ type: 'found', token, ...answer });
    } catch (error) {
      this.#driver.feed({ type: 'failed', token, reason: reasonOf(error) });
    }
  }

  #ask() {
    const { mobility, eap } = this.#options;
    const domain = mobility['dns-domain'] ?? eap.identity.split('@')[1] ?? '';
    const { findHomeAgents, host } = this.#tools.surroundings;
    return findHomeAgents({ domain, servers: mobility['dns-servers'] }, host);
  }

  async #read(): Promise<FoundAgent[]> {
    return receivedAgents(await readFile(this.#options.mobility['home-agent-file'], 'latin1'));
  }

  /** Without an address there is no place from which to reach the home agent yet. */
  async #use(agent: FoundAgent): Promise<void> {
    const { log, surroundings, node, identity } = this.#tools;
    const { 'local-address': configured, interface: access, port } = this.#options.pana;
    const { homeAddresses } = node;
    try {
      const place = { configured, access, port, homeAddresses };
      const source = await findSource(formatAddress(agent.address), place, surroundings);
      if (this.#isStopped) return;
      const at = { sessionId: undefined, careOfAddress: source?.address ?? '::1', interface: source?.interface };
      node.found(agent, this.#source, at, identity());
    } catch (error) {
      if (!(error instanceof NoSourceError)) throw error;
      log.debug({ source: this.#source, reason: error.message }, 'home agent not found');
    }
  }
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
