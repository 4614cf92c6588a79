import type { Argv } from 'yargs';
import { DEFAULT_VENDOR_ID } from '../../protocol/bytes/assigned-numbers.js';

export const describeDecode = 'Decode PANA, Diameter and RADIUS messages from hexadecimal text or a capture file';

export function decodeOptions(cli: Argv) {
  return cli
    .positional('file', {
      type: 'string',
      description: 'pcap or pcapng, also with gzip, or hexadecimal text; -: standard input [default: standard input]',
    })
    .option('vendor-id', {
      type: 'number',
      default: DEFAULT_VENDOR_ID,
      description: 'enterprise number of the mobility AVPs',
    })
    .option('keys', {
      type: 'string',
      description:
        'key file that a daemon wrote (key-log): verify each AUTH, open encrypted AVPs and sealed assignments',
    })
    .option('ladder', {
      type: 'boolean',
      default: true,
      description: 'draw a ladder diagram below the messages of a capture',
    })
    .option('messages', {
      type: 'boolean',
      default: true,
      description: 'print messages; --no-messages: only the ladder, which grows if the input is a pipe',
    })
    .option('width', {
      type: 'number',
      description: 'columns of the ladder [default: those of the terminal, or 80]',
    })
    .example('pana-mip6 decode --no-messages --keys paa.keys trace.pcap', 'print the ladder, and mark each wrong AUTH')
    .example(
      'tcpdump -i any -U -w - udp port 716 or tcp port 3868 | pana-mip6 decode -',
      'print messages as they arrive, and the ladder when the capture ends',
    )
    .example(
      'tcpdump -i any -U -w - udp port 716 or tcp port 3868 | pana-mip6 decode --no-messages -',
      'draw the ladder as it grows',
    )
    .example('pana-mip6 decode trace.pcap', '')
    .example('echo 00000010000000010000000000000000 | pana-mip6 decode', 'a PCI');
}
