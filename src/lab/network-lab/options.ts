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
    .example('sudo pana-mip6 lab', 'print which phases work, with their times and those of the paper')
    .epilogue(
      'Needs Linux and root. Uses strongSwan (charon, swanctl) and nftables if they are installed.\n' +
        'Exit status 1: at least one test failed.',
    );
}
