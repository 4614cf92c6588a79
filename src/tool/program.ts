import { labChoices, labOptions } from '../lab/network-lab/options.js';
import { loadFlags } from '../load/options.js';
import { runProgram } from '../runtime/cli/cli.js';
import { decodeOptions, describeDecode } from './decode/options.js';
import { pkiCommands } from './pki.js';

/** Runs `pana-mip6` with the command line of this process. */
export function runCommandLine(): Promise<void> {
  return runProgram({
    name: 'pana-mip6',
    description: 'Tools for the daemons: certificates, message decoder, demonstration, lab, load, benchmarks.',
    examples: [
      ['pana-mip6 demo', 'bootstrap a mobile node on this host'],
      ['pana-mip6 decode trace.pcap', 'decode a capture'],
    ],
    epilogue: 'The daemons are pana-pac, pana-paa, pana-aaa and pana-pre.',
    commands: (cli) =>
      cli
        .command(
          'demo',
          'Run the three daemons on this host, bootstrap a mobile node, and show what happens',
          (demo) =>
            demo
              .option('keep', {
                type: 'boolean',
                default: false,
                description: 'keep the folder, and print how to continue',
              })
              .option('tls', { type: 'string', choices: ['1.2', '1.3'], default: '1.3', description: 'TLS version' })
              .option('local-ha', {
                type: 'boolean',
                default: false,
                description: 'request a home agent in the access network',
              })
              .option('nodes', { type: 'number', default: 1, description: 'mobile nodes, one after another' })
              .option('web', {
                type: 'boolean',
                default: false,
                description: 'serve the web pages of the daemons, and keep running until Ctrl-C',
              })
              .option('browser', {
                type: 'boolean',
                default: false,
                description: 'with --web: open the pages in the browser (xdg-open)',
              })
              .example('pana-mip6 demo --web', 'watch the daemons in a browser')
              .example('pana-mip6 demo', 'one node, TLS 1.3, home agent in the home network')
              .example('pana-mip6 demo --nodes 20', 'also print median and 95th percentile'),
          async (argv) => {
            const { runDemo } = await import('../lab/demo.js');
            await runDemo({
              keep: argv.keep,
              tls: argv.tls === '1.2' ? '1.2' : '1.3',
              localHomeAgent: argv['local-ha'],
              nodes: argv.nodes,
              web: argv.web,
              browser: argv.browser,
            });
          },
        )
        .command(
          'bench',
          'Benchmark this host in two minutes, with OpenSSL and FreeRADIUS beside it; --full: everything, with plots',
          (bench) =>
            bench
              .option('full', {
                type: 'boolean',
                default: false,
                description:
                  'also: curves over concurrency, overload, sessions and leases (SVG), and all that the flags below name',
              })
              .option('json', { type: 'string', default: 'bench.json', description: 'file for all figures' })
              .option('seconds', {
                type: 'number',
                default: 95,
                description: 'begin no further measurement after this time; --full: no limit',
              })
              .option('sessions', {
                type: 'number',
                default: 100_000,
                description: 'with --full: idle sessions whose heap is measured; 0: no curves',
              })
              .option('count', { type: 'number', default: 200, description: 'bootstraps of each kind' })
              .option('at-once', {
                type: 'number',
                default: 32,
                description: 'concurrent bootstraps in the second kind',
              })
              .option('leases', {
                type: 'number',
                default: 1_000_000,
                description: 'leases in the large store, which is compared with a small one; 0: skip the store',
              })
              .option('postgres', {
                type: 'string',
                description: 'postgres://… of an empty database for the large store',
              })
              .option('clients', {
                type: 'number',
                default: 1_000,
                description: 'clients of the enforcement point (Linux, root, nft); 0: skip it',
              })
              .option('flood', {
                type: 'number',
                default: 50_000,
                description:
                  'PCIs per second of the largest flood; also measured: no flood, and a quarter of it (Linux, root, cc); 0: skip it',
              })
              .option('first', {
                type: 'number',
                default: 30,
                description: 'PaC processes whose first bootstrap is measured; 0: skip it',
              })
              .option('soak', {
                type: 'string',
                description:
                  'instead run under load for this time, such as 1h, and draw the resources that must not grow',
              })
              .option('soak-rate', { type: 'number', default: 5, description: 'bootstraps per second of the soak' })
              .option('svg', { type: 'string', default: 'bench.svg', description: 'file for plots' })
              .example('pana-mip6 bench --soak 1h --svg soak.svg', 'heap, files, timers and leases over an hour')
              .option('starts', {
                type: 'number',
                default: 5,
                description:
                  'rounds in which starts of the programs are measured against those of Node.js; 0: skip them',
              })
              .example('pana-mip6 bench', 'the figures that have marks, and bench.json; asserts nothing')
              .example('pana-mip6 bench --full --leases 10000000', 'all figures and plots; takes hours'),
          async (argv) => {
            if (argv.soak !== undefined) {
              const [{ runSoak }, { durationOf }] = await Promise.all([
                import('../lab/bench/soak.js'),
                import('../load/options.js'),
              ]);
              const duration = durationOf('soak', argv.soak);
              if (!(await runSoak({ duration, rate: argv['soak-rate'], svg: argv.svg }))) process.exitCode = 1;
              return;
            }
            const { runQuickBench } = await import('../lab/bench/quick.js');
            const budget = argv.full ? Number.POSITIVE_INFINITY : argv.seconds * 1_000;
            await runQuickBench({ json: argv.json, budget });
            if (!argv.full) return;
            if (argv.sessions > 0) {
              const { runCurves } = await import('../lab/bench/curves.js');
              await runCurves({ sessions: argv.sessions, leases: argv.leases, svg: argv.svg });
            }
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
            if (argv.first > 0) {
              const { runFirstBench } = await import('../lab/bench/first.js');
              await runFirstBench(argv.first);
            }
            if (argv.starts > 0) {
              const { runStartsBench } = await import('../lab/bench/starts.js');
              await runStartsBench(argv.starts);
            }
          },
        )
        .command(
          'lab',
          'Build a mobile node, an access router and a home network as network namespaces, and test them',
          labOptions,
          async (argv) => {
            const { _, $0, kernel, memory, verbose, ...flags } = argv;
            const choices = labChoices(argv);
            if (kernel === 'uml') {
              const { umlLabCommand } = await import('../lab/uml/command.js');
              await umlLabCommand(flags, { memory, verbose });
            } else {
              const { labCommand } = await import('../lab/network-lab/command.js');
              await labCommand(choices, { wait: argv.wait, json: argv.json });
            }
          },
        )
        .command(
          'load',
          'Put a PAA under load: many mobile nodes in this process, and what they experience',
          loadFlags,
          async (argv) => {
            const { loadCommand } = await import('../load/command.js');
            await loadCommand(argv);
          },
        )
        .command('decode [file]', describeDecode, decodeOptions, async (argv) => {
          const { decodeCommand } = await import('./decode/command.js');
          await decodeCommand(argv);
        })
        .command('pki', 'Create a CA; issue, renew and revoke certificates', pkiCommands),
  });
}
