import type { Argv } from 'yargs';

/** The flags of `pana-mip6 lab`. */
export function labOptions(cli: Argv) {
  return cli
    .option('wait', {
      type: 'boolean',
      default: false,
      description: 'before the session ends, print commands to inspect the lab, and wait for Enter',
    })
    .option('json', { type: 'boolean', default: false, description: 'print results as JSON' })
    .option('kernel', {
      choices: ['host', 'uml'] as const,
      default: 'host' as const,
      description: 'run the lab on the kernel of this host, or in user-mode Linux, which needs no root',
    })
    .option('memory', {
      type: 'string',
      default: '1G',
      description: 'memory of user-mode Linux, such as 1500M or 2G',
    })
    .option('verbose', {
      type: 'boolean',
      default: false,
      description: 'show the messages of the kernel of user-mode Linux',
    })
    .example('sudo pana-mip6 lab', 'print which phases work, with their times and those of the paper')
    .example('pana-mip6 lab --kernel uml', 'the same in user-mode Linux, with ESP and without root')
    .epilogue(
      'Needs Linux and root. Uses strongSwan (charon, swanctl) and nftables if they are installed.\n' +
        'Exit status 1: at least one test failed.',
    );
}
