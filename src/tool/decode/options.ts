import type { Argv } from 'yargs';
import { DEFAULT_VENDOR_ID } from '../../protocol/pana/dictionary.js';

export const describeDecode = 'Make messages readable: hexadecimal text or a capture file, of PANA and Diameter';

export function decodeOptions(cli: Argv) {
  return cli
    .positional('file', { type: 'string', description: 'pcap, pcapng or hexadecimal text; without it standard input' })
    .option('vendor-id', {
      type: 'number',
      default: DEFAULT_VENDOR_ID,
      description: 'enterprise number of the mobility AVPs',
    })
    .example(
      'tcpdump -i lo -w - udp port 716 or tcp port 3868 | pana-mip6 decode',
      'everything, as it comes to its end',
    )
    .example('pana-mip6 decode trace.pcap', '')
    .example('echo 00000010000000010000000000000000 | pana-mip6 decode', 'a PCI');
}
