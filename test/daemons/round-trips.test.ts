import { afterEach, expect, it } from 'vitest';
import { Lab } from '../../dist/lab/lab.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

// With two session tickets, the last flight of the server would not fit in one packet.
it('A bootstrap takes six round trips if each flight with P-256 certificates fits in one packet', async () => {
  lab = await Lab.make({ hooks: false, paa: { nas: { 'framed-mtu': 1400 } } });
  const { place } = await lab.startAaa();
  await lab.startPaa(place);
  await lab.addSubscriber('mn1@home.example', 'mn1');
  const pac = await lab.startPac('mn1');
  await pac.line('bootstrap completed');
  const sent = pac.lines.flatMap((line) => (line.msg === 'message sent' ? [line['message']] : []));
  expect(sent).toEqual(['PCI', 'PAN[S]', 'PAN', 'PAN', 'PAN', 'PAN', 'PAN[C]']);
});
