import { DecodeError } from '../../bytes/decode-error.js';
import { Secret } from '../../bytes/secret.js';
import { agentInfo, serviceAvps } from '../../diameter/mip6/mobility.js';
import type { DEA, DER } from '../../diameter/wire/commands.js';
import type { Message } from '../../diameter/wire/grammar.js';
import { RESULT } from '../../diameter/wire/result-codes.js';
import { EAP_CODE } from '../../eap/codec.js';
import { decodePrefix } from '../../mip6/assignment.js';
import { readMobility, writeMobility } from '../../radius/mip6/mobility.js';
import { AttributeReader, attribute, type Hiding } from '../../radius/wire/attributes.js';
import { type Attribute, CODE, type RadiusPacket } from '../../radius/wire/codec.js';
import { ATTRIBUTES, SERVICE_TYPE, TERMINATION_ACTION } from '../../radius/wire/dictionary.js';

/** The AVPs of a DEA that come from a RADIUS answer. */
export type DeaContent = Partial<Message<typeof DEA>> & Pick<Message<typeof DEA>, 'Result-Code'>;

/** What an Access-Accept says about the session, besides what becomes a DEA. */
export interface SessionTerms {
  readonly userName: string | undefined;
  readonly classes: readonly Uint8Array[];
  /** RFC 2865 5.24: the State of the next authentication; undefined: it has none. */
  readonly state: Uint8Array | undefined;
  /** Acct-Interim-Interval in milliseconds. */
  readonly interim: number | undefined;
}

/** An Access-Accept, -Reject or -Challenge. `terms`: of an Access-Accept. */
export interface AccessAnswer {
  readonly content: DeaContent;
  readonly terms: SessionTerms | undefined;
}

/** Length of MS-MPPE-Recv-Key and MS-MPPE-Send-Key for an MSK of 64 octets (RFC 5216 2.3). */
const MPPE_KEY = 32;

/** Framed-MTU includes the header of EAPOL, RFC 3579 2.4 and IEEE 802.1X. */
const EAPOL_HEADER = 4;

/** RFC 2869 5.16: an Acct-Interim-Interval is at least 60 s. */
const MIN_INTERIM = 60;

/**
 * The attributes of an Access-Request (RFC 3579 3) for a DER. Throws RangeError if a value is too long.
 */
export function accessAttributes(
  der: Message<typeof DER>,
  {
    identity,
    portType,
    ownVendor,
  }: {
    /** Attributes that identify the NAS. */
    readonly identity: readonly Attribute[];
    readonly portType: number;
    readonly ownVendor: number;
  },
): Attribute[] {
  const user = der['User-Name'];
  const calling = der['Calling-Station-Id'];
  const mtu = der['Framed-MTU'];
  const state = der.State;
  return [
    ...(user === undefined || user === '' ? [] : attribute('User-Name', user)),
    ...identity,
    ...attribute('NAS-Port-Type', portType),
    ...attribute('Service-Type', SERVICE_TYPE.Framed),
    ...(calling === undefined ? [] : attribute('Calling-Station-Id', calling)),
    ...(mtu === undefined ? [] : attribute('Framed-MTU', mtu + EAPOL_HEADER)),
    ...attribute('Acct-Session-Id', der['Session-Id']),
    ...(state ? attribute('State', state) : []),
    ...eapMessage(der['EAP-Payload']),
    ...writeMobility(mobilityOf(der), ownVendor),
  ];
}

/** RFC 3579 2.1: EAP-Start is an EAP-Message without a value. */
function eapMessage(payload: Uint8Array): Attribute[] {
  const { type } = ATTRIBUTES['EAP-Message'];
  return payload.length === 0 ? [{ type, value: payload }] : attribute('EAP-Message', payload);
}

function mobilityOf(der: Message<typeof DER>) {
  const [info] = der['MIP6-Agent-Info'] ?? [];
  const prefix = info?.['MIP6-Home-Link-Prefix'];
  return {
    features: der['MIP6-Feature-Vector'],
    capability: der['Mobility-Capability'],
    homeAgent: info?.['MIP-Home-Agent-Address']?.[0],
    homeAgentHost: info?.['MIP-Home-Agent-Host']?.['Destination-Host'],
    homeAddress: der['MIP-Mobile-Node-Address']?.[0],
    prefix: prefix && decodePrefix(prefix),
    sealed: undefined,
  };
}

/** Decodes an answer. Throws DecodeError. The caller owns the key in the content. */
export function readAccessAnswer(packet: RadiusPacket, hiding: Hiding, ownVendor: number): AccessAnswer {
  const reader = new AttributeReader(packet, hiding);
  const payload = reader.one('EAP-Message');
  const eap = payload && payload.length > 0 ? { 'EAP-Payload': payload } : {};
  switch (packet.code) {
    case CODE['Access-Challenge']: {
      const state = reader.one('State');
      const content = { 'Result-Code': RESULT.MULTI_ROUND_AUTH, ...eap, ...(state ? { State: state } : {}) };
      return { content, terms: undefined };
    }
    case CODE['Access-Accept']:
      if (payload?.[0] !== EAP_CODE.SUCCESS)
        throw new DecodeError('bad-value', 0, 'an Access-Accept without EAP-Success');
      return accepted(reader, packet, payload, ownVendor);
    default:
      // RFC 3579 2.6.3: the code of the packet decides. An EAP-Success in a refusal would mislead the client.
      return {
        content: {
          'Result-Code': RESULT.AUTHENTICATION_REJECTED,
          ...(payload?.[0] === EAP_CODE.FAILURE ? eap : {}),
        },
        terms: undefined,
      };
  }
}

function accepted(reader: AttributeReader, packet: RadiusPacket, payload: Uint8Array, ownVendor: number): AccessAnswer {
  const userName = reader.one('User-Name');
  const timeout = reader.one('Session-Timeout');
  const classes = reader.all('Class');
  const state = reader.one('State');
  const interim = reader.one('Acct-Interim-Interval');
  const mobility = answeredMobility(packet, ownVendor);
  const msk = mskOf(reader);
  return {
    content: {
      'Result-Code': RESULT.SUCCESS,
      'EAP-Payload': payload,
      ...(msk ? { 'EAP-Master-Session-Key': msk } : {}),
      ...(userName === undefined ? {} : { 'User-Name': userName }),
      ...(timeout === undefined ? {} : { 'Session-Timeout': timeout }),
      ...(classes.length > 0 ? { Class: classes } : {}),
      ...mobility,
    },
    terms: {
      userName,
      classes,
      state: reader.one('Termination-Action') === TERMINATION_ACTION['RADIUS-Request'] ? state : undefined,
      interim: interim === undefined ? undefined : Math.max(MIN_INTERIM, interim) * 1000,
    },
  };
}

/** The MSK (RFC 5216 2.3): MS-MPPE-Recv-Key, then MS-MPPE-Send-Key. Undefined: the server sent no such keys. */
function mskOf(reader: AttributeReader): Secret | undefined {
  const keys = [...reader.all('MS-MPPE-Recv-Key'), ...reader.all('MS-MPPE-Send-Key')];
  const [first, second] = keys;
  const msk =
    keys.length === 2 && first && second && keys.every(({ length }) => length >= MPPE_KEY)
      ? Secret.make(2 * MPPE_KEY, (octets) => {
          first.use((half) => octets.set(half.subarray(0, MPPE_KEY)));
          second.use((half) => octets.set(half.subarray(0, MPPE_KEY), MPPE_KEY));
        })
      : undefined;
  for (const key of keys) key.wipe();
  return msk;
}

/** The mobility AVPs for the mobility attributes of an answer. Throws DecodeError. */
function answeredMobility(packet: RadiusPacket, ownVendor: number): Partial<DeaContent> {
  const mobility = readMobility(packet, ownVendor);
  const { features, capability, homeAgent, homeAgentHost, homeAddress, prefix, sealed, services = {} } = mobility;
  const host = homeAgentHost === undefined ? undefined : { host: homeAgentHost, realm: realmOfHost(homeAgentHost) };
  return {
    ...(features === undefined ? {} : { 'MIP6-Feature-Vector': features }),
    ...(capability === undefined ? {} : { 'Mobility-Capability': capability }),
    ...(homeAgent ? { 'MIP6-Agent-Info': [agentInfo({ homeAgent, homeAddress, prefix, host })] } : {}),
    ...(homeAddress ? { 'MIP-Mobile-Node-Address': [homeAddress] } : {}),
    ...(sealed ? { 'MIP6-Sealed-Assignment': sealed } : {}),
    ...serviceAvps(services),
  };
}

function realmOfHost(host: string): string {
  const dot = host.indexOf('.');
  return dot < 0 ? host : host.slice(dot + 1);
}
