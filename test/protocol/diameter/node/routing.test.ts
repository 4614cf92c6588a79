import { describe, expect, it } from 'vitest';
import { type Hop, type Route, RouteTable } from '../../../../src/protocol/diameter/node/routing.js';
import { APPLICATION } from '../../../../src/protocol/diameter/wire/commands.js';
import { generator } from '../../pana/session/simulation.js';

const EAP = { relay: false, applications: [APPLICATION.EAP] };
const RELAY = { relay: true, applications: [APPLICATION.RELAY] };

function hop(host: string, more: Partial<Hop> = {}): Hop {
  return { host, priority: 0, weight: 1, capabilities: EAP, ...more };
}

function table(hops: readonly Hop[], routes: readonly Route[] = []) {
  const random = generator(42);
  return new RouteTable(routes, new Map(hops.map((each) => [each.host, each])), random);
}

const names = (hops: readonly Hop[]) => hops.map(({ host }) => host);

describe('RouteTable', () => {
  it('selects Destination-Host if it is a peer, then relay agents', () => {
    const routes = table([hop('a.example'), hop('b.example'), hop('r.example', { capabilities: RELAY })]);
    const to = (host: string) => names(routes.candidates({ realm: 'home.example', host }, APPLICATION.EAP));
    expect(to('B.example')).toEqual(['b.example', 'r.example']);
    expect(to('elsewhere.example')).toEqual(['r.example']);
  });

  it('selects the peers of the realm, those of the default route for other realms, or none', () => {
    const hops = [hop('a.example'), hop('b.example'), hop('r.example', { capabilities: RELAY })];
    const routes = table(hops, [
      { realm: 'Home.example', peers: ['a.example', 'gone.example'] },
      { realm: '*', peers: ['r.example'] },
    ]);
    const to = (realm: string | undefined) => names(routes.candidates({ realm, host: undefined }, APPLICATION.EAP));
    expect(to('home.EXAMPLE')).toEqual(['a.example']);
    expect(to('other.example')).toEqual(['r.example']);
    expect(to(undefined)).toEqual(['r.example']);
    const strict = table(hops, [{ realm: 'home.example', peers: ['a.example'] }]);
    expect(strict.candidates({ realm: 'other.example', host: undefined }, APPLICATION.EAP)).toEqual([]);
  });

  it('skips peers without the application, but not peers with unknown capabilities', () => {
    const routes = table([
      hop('a.example', { capabilities: { relay: false, applications: [4] } }),
      hop('b.example', { capabilities: undefined }),
    ]);
    expect(names(routes.candidates({ realm: 'x', host: undefined }, APPLICATION.EAP))).toEqual(['b.example']);
  });

  it('puts the lowest priority first, and shares requests by weight within one priority', () => {
    const routes = table([
      hop('last.example', { priority: 2, weight: 100 }),
      hop('heavy.example', { priority: 1, weight: 3 }),
      hop('light.example', { priority: 1, weight: 1 }),
    ]);
    const first = new Map<string, number>();
    for (let i = 0; i < 4000; i += 1) {
      const order = names(routes.candidates({ realm: 'x', host: undefined }, APPLICATION.EAP));
      expect(order).toHaveLength(3);
      expect(order[2]).toBe('last.example');
      first.set(order[0] ?? '', (first.get(order[0] ?? '') ?? 0) + 1);
    }
    expect((first.get('heavy.example') ?? 0) / 4000).toBeCloseTo(0.75, 1);
  });
});
