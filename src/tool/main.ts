#!/usr/bin/env node
import { listenEarly } from '../runtime/system/early-signals.js';

listenEarly(false);

const [{ runProgram }, { decodeOptions, describeDecode }, { pkiCommands }] = await Promise.all([
  import('../runtime/cli/cli.js'),
  import('./decode/options.js'),
  import('./pki.js'),
]);

await runProgram({
  name: 'pana-mip6',
  description: 'What belongs to none of the three daemons: certificates, readable messages, a demonstration, figures.',
  examples: [
    ['pana-mip6 demo', 'see a mobile node bootstrapped'],
    ['pana-mip6 decode trace.pcap', 'read a capture'],
  ],
  epilogue: 'The daemons are pana-pac, pana-paa and pana-aaa.',
  commands: (cli) =>
    cli
      .command(
        'demo',
        'Run the three daemons on this host, bootstrap a mobile node, and show what happens',
        (demo) =>
          demo
            .option('keep', { type: 'boolean', default: false, description: 'keep the folder, and say how to go on' })
            .option('tls', { type: 'string', choices: ['1.2', '1.3'], default: '1.3', description: 'version of TLS' })
            .option('local-ha', {
              type: 'boolean',
              default: false,
              description: 'ask for a home agent in the access network',
            })
            .option('nodes', { type: 'number', default: 1, description: 'mobile nodes, one after another' })
            .example('pana-mip6 demo', 'one node, TLS 1.3, home agent at home')
            .example('pana-mip6 demo --nodes 20', 'with median and 95th percentile'),
        async (argv) => {
          const { runDemo } = await import('../lab/demo.js');
          await runDemo({
            keep: argv.keep,
            tls: argv.tls === '1.2' ? '1.2' : '1.3',
            localHomeAgent: argv['local-ha'],
            nodes: argv.nodes,
          });
        },
      )
      .command(
        'bench',
        'Measure on this host: bootstraps, bare TLS handshakes, a store of a million leases, the enforcement point, a flood',
        (bench) =>
          bench
            .option('count', { type: 'number', default: 200, description: 'bootstraps of each kind' })
            .option('at-once', { type: 'number', default: 32, description: 'bootstraps at once in the second kind' })
            .option('leases', {
              type: 'number',
              default: 1_000_000,
              description: 'leases of the large store, compared with a small one; 0: leave the store out',
            })
            .option('postgres', {
              type: 'string',
              description: 'postgres://… of an empty database for the large store',
            })
            .option('clients', {
              type: 'number',
              default: 1_000,
              description: 'clients of the enforcement point (Linux, root, nft); 0: leave it out',
            })
            .option('flood', {
              type: 'number',
              default: 50_000,
              description:
                'PCIs a second of the largest flood; also run: none and a quarter of it (Linux, root, cc); 0: leave it out',
            })
            .example('pana-mip6 bench --count 1000', 'prints tables; asserts nothing')
            .example('pana-mip6 bench --count 0 --clients 0 --flood 0 --leases 100000', 'the store alone'),
        async (argv) => {
          if (argv.count > 0) {
            const { runBench } = await import('../lab/bench/bench.js');
            await runBench({ count: argv.count, atOnce: argv['at-once'] });
          }
          if (argv.leases > 0) {
            const { runStoreBench } = await import('../lab/bench/store.js');
            await runStoreBench({ leases: argv.leases, postgres: argv.postgres });
          }
          if (argv.clients > 0) {
            const { runEnforcementBench } = await import('../lab/bench/enforcement.js');
            await runEnforcementBench(argv.clients);
          }
          if (argv.flood > 0) {
            const { runFloodBench } = await import('../lab/bench/flood.js');
            await runFloodBench([0, Math.ceil(argv.flood / 4), argv.flood]);
          }
        },
      )
      .command(
        'lab',
        'Build a mobile node, an access router and a home network as network namespaces, and show what works in them',
        (lab) =>
          lab
            .option('wait', {
              type: 'boolean',
              default: false,
              description: 'before the session ends, wait for Enter, with commands for a look around',
            })
            .option('json', { type: 'boolean', default: false, description: 'print findings as JSON' })
            .example('sudo pana-mip6 lab', 'a table of what works, with times in the phases of the paper')
            .epilogue(
              'Linux and root. strongSwan (charon, swanctl) and nftables are used where they are installed.\n' +
                'Exit status 1 if something did not work that could be tried.',
            ),
        async (argv) => {
          const { labCommand } = await import('../lab/network-lab/command.js');
          await labCommand({ wait: argv.wait, json: argv.json });
        },
      )
      .command('decode [file]', describeDecode, decodeOptions, async (argv) => {
        const { decodeCommand } = await import('./decode/command.js');
        await decodeCommand(argv);
      })
      .command('pki', 'Make a CA, issue and revoke certificates', pkiCommands),
});
