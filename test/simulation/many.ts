import { parseArgs } from 'node:util';
import { authentications, type Fidelity, runSeeds, summary } from './seeds.js';

/** The number of authentications after which progress is printed. */
const PROGRESS = 10_000;

/** Lines of a failed seed's report that are shown: the invariant, and the command that replays the seed and shows the rest. */
const SHOWN = 2;

const say = (text: string) => process.stdout.write(`${new Date().toISOString()} ${text}\n`);

/**
 * Runs a large number of bootstraps and continues after a broken invariant, up to `MAX_BROKEN` worlds: `npm run simulate --
 * --bootstraps 1000000`. Ends at SIGINT or SIGTERM after the current world. Exits with
 * status 1 if an invariant broke in any world.
 */
const { values } = parseArgs({
  options: {
    bootstraps: { type: 'string', default: '1000000' },
    from: { type: 'string', default: '100000' },
    minutes: { type: 'string', default: '20' },
    fidelity: { type: 'string', default: 'plain' },
  },
});
const seeds = {
  from: Number(values.from),
  bootstraps: Number(values.bootstraps),
  minutes: Number(values.minutes),
  fidelity: values.fidelity as Fidelity,
};
say(`${JSON.stringify(seeds)}, process ${process.pid}`);
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.on(signal, () => process.exit(128 + number));
}
let reported = 0;
const totals = await runSeeds(seeds, {
  onSeed: (seed, _result, so) => {
    const done = Math.floor(authentications(so) / PROGRESS);
    if (done === reported) return;
    reported = done;
    const memory = Math.round(process.memoryUsage().rss / 2 ** 20);
    say(`after seed ${seed}: ${authentications(so)} authentications, ${memory} MiB, ${summary(so).split('\n')[0]}`);
  },
  onBroken: (seed, report) => say(`seed ${seed} failed\n${report.split('\n').slice(0, SHOWN).join('\n')}\n`),
});
say(summary(totals));
process.exitCode = totals.broken > 0 ? 1 : 0;
