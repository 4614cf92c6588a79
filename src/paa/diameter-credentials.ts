import { refusedReporter } from '../runtime/diameter/reporter.js';
import { openDiameterTls, readDiameterTls, usedForDiameter } from '../runtime/diameter/setup.js';
import { TlsTransport } from '../runtime/diameter/tls.js';
import type { Logger } from '../runtime/log/events.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Surroundings } from '../runtime/surroundings/surroundings.js';
import { FileWatch } from '../runtime/system/file-watch.js';
import type { Host } from '../runtime/system/host.js';
import { CredentialWatch, credentialFiles } from '../runtime/tls/credential-watch.js';
import type { PaaOptions } from './options.js';

type Section = Pick<PaaOptions, 'diameter'>;

/** The certificates for Diameter with TLS. Read at the start, and again when the files or the options change. */
export class DiameterCredentials {
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
      used: () => usedForDiameter(this.#options.diameter, this.#transport?.options),
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
  ): Promise<DiameterCredentials> {
    const files = new FileWatch(host, lookAtFiles);
    const transport = await files.watch(credentialFiles(options), () =>
      openDiameterTls(options.diameter, host, refusedReporter(log)),
    );
    return new DiameterCredentials(options, log, metrics, host, files, transport);
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
    const material = await this.#files.watch(credentialFiles(options), () =>
      readDiameterTls(options.diameter, this.#host),
    );
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
