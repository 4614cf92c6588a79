import type { Argv } from 'yargs';
import { DEFAULT_VENDOR_ID } from '../../protocol/pana/wire/dictionary.js';

export const describeDecode = 'Make messages readable: hexadecimal text or a capture file, of PANA and Diameter';

export function decodeOptions(cli: Argv) {
  return cli
    .positional('file', { type: 'string', description: 'pcap, pcapng or hexadecimal text; without it standard input' })
    .option('vendor-id', {
      type: 'number',
      default: DEFAULT_VENDOR_ID,
      description: 'enterprise number of the mobility AVPs',
    })
    .option('keys', {
      type: 'string',
      description: 'key file that a daemon wrote (key-log): say of each AUTH whether it is right',
    })
    .option('ladder', { type: 'boolean', default: true, description: 'below the messages of a capture draw a ladder' })
    .option('messages', { type: 'boolean', default: true, description: '--no-messages: the ladder only' })
    .example('pana-mip6 decode --no-messages --keys paa.keys trace.pcap', 'who said what, and which AUTH is wrong')
    .example(
      'tcpdump -i lo -w - udp port 716 or tcp port 3868 | pana-mip6 decode',
      'everything, as it comes to its end',
    )
    .example('pana-mip6 decode trace.pcap', '')
    .example('echo 00000010000000010000000000000000 | pana-mip6 decode', 'a PCI');
}
