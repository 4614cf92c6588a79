import { refusedReporter } from '../runtime/diameter/reporter.js';
import { readDiameterTls, usedForDiameter } from '../runtime/diameter/setup.js';
import { type DiameterTlsOptions, TlsTransport } from '../runtime/diameter/tls.js';
import type { Logger } from '../runtime/log/events.js';
import { readRadiusTls, usedForRadius } from '../runtime/radius/tls.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Surroundings } from '../runtime/surroundings/surroundings.js';
import { OperatorError } from '../runtime/system/failure.js';
import { FileWatch } from '../runtime/system/file-watch.js';
import type { Host } from '../runtime/system/host.js';
import { CredentialWatch, credentialFiles, type UsedCredentials } from '../runtime/tls/credential-watch.js';
import type { PaaOptions } from './options.js';

type Section = Pick<PaaOptions, 'aaa' | 'diameter' | 'radius'>;

/** Reads the credentials for the protocol to the AAA servers; undefined: it has no TLS. Rejects with OperatorError. */
export async function readLinkTls(options: Section, host: Host): Promise<DiameterTlsOptions | undefined> {
  if (options.aaa === 'diameter') return readDiameterTls(options.diameter, host);
  const { tls, servers } = options.radius;
  const wanting = servers.findIndex(({ certificate }) => certificate !== undefined);
  if (!tls && wanting >= 0) {
    throw new OperatorError(`radius.tls is missing: radius.servers.${wanting} has a certificate, and so requires TLS`);
  }
  return readRadiusTls(options.radius, host);
}

/** The credentials for the protocol to the AAA servers in use. */
export function usedForLink(options: Section, material: DiameterTlsOptions | undefined): UsedCredentials[] {
  return options.aaa === 'diameter'
    ? usedForDiameter(options.diameter, material)
    : usedForRadius(options.radius, material, 'client');
}

const filesOf = ({ aaa, diameter, radius }: Section) => credentialFiles(aaa === 'diameter' ? { diameter } : { radius });

/** The certificates for Diameter or RADIUS with TLS. Read at the start, and again when files or options change. */
export class LinkCredentials {
  #options: Section;
  readonly #log: Logger;
  readonly #host: Host;
  readonly #files: FileWatch;
  readonly #watch: CredentialWatch;
  #transport: TlsTransport | undefined;

  private constructor(
    options: Section,
    log: Logger,
    metrics: Metrics,
    host: Host,
    files: FileWatch,
    transport: TlsTransport | undefined,
  ) {
    this.#options = options;
    this.#log = log;
    this.#host = host;
    this.#files = files;
    this.#transport = transport;
    this.#watch = new CredentialWatch({
      log,
      metrics,
      files,
      host,
      used: () => usedForLink(this.#options, this.#transport?.options),
      reload: async () => {
        const adopt = await this.read(this.#options);
        adopt();
      },
    });
  }

  /** Rejects with OperatorError. */
  static async open(
    options: Section,
    log: Logger,
    metrics: Metrics,
    { host, lookAtFiles }: Pick<Surroundings, 'host' | 'lookAtFiles'>,
  ): Promise<LinkCredentials> {
    const files = new FileWatch(host, lookAtFiles);
    const material = await files.watch(filesOf(options), () => readLinkTls(options, host));
    const transport = material && new TlsTransport(material, host, refusedReporter(log));
    return new LinkCredentials(options, log, metrics, host, files, transport);
  }

  /** Until when the credentials are valid, by configuration key. */
  days(): Readonly<Record<string, string>> {
    return this.#watch.days();
  }

  /** The TLS transport. Undefined: TLS is not configured. */
  get transport(): TlsTransport | undefined {
    return this.#transport;
  }

  /** Reads the credentials that the options name. The returned function applies them. Rejects with OperatorError. */
  async read(options: Section): Promise<() => void> {
    const material = await this.#files.watch(filesOf(options), () => readLinkTls(options, this.#host));
    return () => {
      this.#options = options;
      if (material && this.#transport) this.#transport.reload(material);
      else if (material) this.#transport = new TlsTransport(material, this.#host, refusedReporter(this.#log));
      this.#watch.changed();
    };
  }

  /** Starts watching the files. */
  start(): void {
    this.#watch.start();
  }

  stop(): void {
    this.#watch.stop();
  }
}
