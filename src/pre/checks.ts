import type { Check } from '../runtime/doctor/check.js';
import { clockFindings } from '../runtime/doctor/clock.js';
import type { Computer } from '../runtime/doctor/computer.js';
import { configurationFindings } from '../runtime/doctor/folders.js';
import { controlFindings, controlPlaces, listeningFindings } from '../runtime/doctor/listening.js';
import type { PreOptions } from './options.js';
import { paaFindings } from './paa-trial.js';

/** The checks of a relay. `file`: where its configuration is from. */
export function preChecks(options: PreOptions, file: string | undefined, computer: Computer): Check[] {
  const { relay, control } = options;
  const running = computer.running(control.socket);
  const places = [
    ...relay.listen.map((address) => ({ key: 'relay.listen', protocol: 'udp', address, port: relay.port }) as const),
    ...controlPlaces(control),
  ];
  return [
    { name: 'configuration', run: () => configurationFindings(file, false, computer) },
    { name: 'control socket', run: async () => controlFindings(control, await running, computer) },
    { name: 'ports', isActive: true, run: async () => listeningFindings(places, await running, computer) },
    { name: 'clock', isActive: true, run: () => clockFindings(computer) },
    { name: 'PAA', isActive: true, run: () => paaFindings(options, computer) },
  ];
}
