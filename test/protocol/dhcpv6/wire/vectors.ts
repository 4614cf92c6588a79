import { fromHex } from '../../../../src/protocol/bytes/octets.js';

/**
 * One exchange of ISC dhclient 4.4.3-P1 (`-6 -S`), a relay agent and Kea 2.2.0 on Debian 12, recorded with tshark on both
 * links of the relay agent.
 */
export const INFORMATION_REQUEST = fromHex(
  '0b7b23c6' + '0001000a000300010eacb471e27c' + '0006000a00170018003100320045' + '000800020000',
);

const IDENTIFIED =
  '0048001020010db8000100000000000000000001' +
  '004700114020010db8000100000000000000000000' +
  '004900120368613104686f6d65076578616d706c6500';

const VISITED =
  '004700114020010db8000a00000000000000000000' +
  '0048001020010db8000a00000000000000000001' +
  '004900140268610776697369746564076578616d706c6500';

const RELAYED = '20010db8000a00000000000000000001' + 'fe800000000000000cacb4fffe71e27c' + '00120003617230';

export const REPLY = fromHex(
  `077b23c60001000a000300010eacb471e27c0002000e00010001329ba02efafebcd006ca00320041${VISITED}0045003f${IDENTIFIED}`,
);

export const RELAY_FORWARD = fromHex(
  `0c00${RELAYED}004200430045003f${IDENTIFIED}00090026${Buffer.from(INFORMATION_REQUEST).toString('hex')}`,
);

export const RELAY_REPLY = fromHex(`0d00${RELAYED}000900ac${Buffer.from(REPLY).toString('hex')}`);

/** The content of the options 69 and 50 of the reply. */
export const IDENTIFIED_INFORMATION = fromHex(IDENTIFIED);
export const VISITED_INFORMATION = fromHex(VISITED);
