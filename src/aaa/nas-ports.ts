import type { NasPort, NasPortOutput } from './nas-port.js';
import { RadiusPort } from './radius-server.js';

/** The NASs of Diameter and RADIUS as one. Tokens of RADIUS requests are negative. */
export class NasPorts implements NasPort {
  readonly #diameter: NasPort;
  readonly #radius: NasPort | undefined;

  constructor(diameter: NasPort, radius: NasPort | undefined) {
    this.#diameter = diameter;
    this.#radius = radius;
  }

  perform(output: NasPortOutput): void {
    for (const port of this.#portsFor(output)) port.perform(output);
  }

  failed(output: NasPortOutput): void {
    for (const port of this.#portsFor(output)) port.failed(output);
  }

  #portsFor(output: NasPortOutput): readonly NasPort[] {
    const radius = this.#radius;
    if (!radius) return [this.#diameter];
    switch (output.type) {
      case 'answer':
        return [output.token < 0 ? radius : this.#diameter];
      case 'sendDemand':
        return [RadiusPort.has(output.session) ? radius : this.#diameter];
      case 'forgetKeys':
      case 'forgetKeysOf':
        return [this.#diameter, radius];
    }
  }
}
