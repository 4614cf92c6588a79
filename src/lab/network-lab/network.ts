import { join } from 'node:path';
import { HOME_AGENT } from '../lab.js';
import type { CleanUp } from './clean-up.js';
import { link, NetworkHost } from './hosts.js';

export const NODE = '2001:db8:a::11';
export const ROUTER = '2001:db8:a::1';
const ROUTER_INSIDE = '2001:db8:b::1';
export const HOME = '2001:db8:b::2';
const HOME_OUTSIDE = '2001:db8:c::1';
export const CORRESPONDENT = '2001:db8:c::2';

export const PICTURE = `
   MN ─────────────── AR ─────────────── HA ─────────────── CN
   pana-pac           pana-paa           pana-aaa           a correspondent
   strongSwan         nftables           strongSwan
   …:a::11      …:a::1  …:b::1     …:b::2  …:c::1     …:c::2        (2001:db8)
                                         home link 2001:db8:1::/64`;

/** The hosts of the lab. */
export type Network = Readonly<Record<'MN' | 'AR' | 'HA' | 'CN', NetworkHost>>;

/** Creates the hosts and the links between them. Rejects with the error of `ip`. */
export async function buildNetwork(folder: string, cleanUp: CleanUp): Promise<Network> {
  const host = async (name: string) => {
    const made = await NetworkHost.make(name, join(folder, 'hosts'));
    await cleanUp.add({ stop: () => made.remove() });
    return made;
  };
  const [MN, AR, HA, CN] = [await host('MN'), await host('AR'), await host('HA'), await host('CN')];
  await link([MN, 'mn0', `${NODE}/64`], [AR, 'ar0', `${ROUTER}/64`]);
  await link([AR, 'ar1', `${ROUTER_INSIDE}/64`], [HA, 'ha0', `${HOME}/64`]);
  await link([HA, 'ha1', `${HOME_OUTSIDE}/64`], [CN, 'cn0', `${CORRESPONDENT}/64`]);
  await HA.ip('link add home0 type bridge');
  await HA.ip('link set home0 up');
  await HA.ip(`address add ${HOME_AGENT}/64 dev home0 nodad`);
  for (const router of [AR, HA]) await router.set('ipv6/conf/all/forwarding', 1);
  await MN.ip(`route add default via ${ROUTER}`);
  await AR.ip(`route add default via ${HOME}`);
  await HA.ip(`route add 2001:db8:a::/64 via ${ROUTER_INSIDE}`);
  await CN.ip(`route add default via ${HOME_OUTSIDE}`);
  return { MN, AR, HA, CN };
}
