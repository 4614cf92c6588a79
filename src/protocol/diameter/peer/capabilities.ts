import { answerTo, errorAnswer, type Origin } from '../wire/answers.js';
import { type DiameterMessage, FLAG } from '../wire/codec.js';
import { APPLICATION, CEA, CER } from '../wire/commands.js';
import { type Content, type Grammarian, isViolation, type Violation } from '../wire/grammar.js';
import { RESULT, resultName } from '../wire/result-codes.js';

/** What this node says of itself in CER and CEA, RFC 6733 5.3. */
export interface LocalCapabilities {
  readonly origin: Origin;
  /** Host-IP-Address; where there is none, the address of the connection. */
  readonly addresses: readonly Uint8Array[];
  readonly productName: string;
  readonly vendorId: number;
  /** Grows with each restart (RFC 6733 8.16). */
  readonly originStateId: number;
  readonly applications: readonly number[];
  readonly supportedVendors: readonly number[];
}

/** What the peer says of itself. */
export interface PeerCapabilities {
  readonly host: string;
  readonly realm: string;
  readonly productName: string | undefined;
  readonly originStateId: number | undefined;
  readonly applications: readonly number[];
  /** The peer is configured as an agent: relay or proxy, which brings requests of others (RFC 6733 2.8). */
  readonly relay: boolean;
}

/** Inband-Security-Id NO_INBAND_SECURITY, RFC 6733 6.10: TLS comes before CER or not at all. */
const NO_INBAND_SECURITY = 0;

/** The capabilities exchange of a node, RFC 6733 5.3. */
export class CapabilitiesExchange {
  readonly #local: LocalCapabilities;
  readonly #grammarian: Grammarian;
  readonly #mayRelay: boolean;

  /** `mayRelay`: the configuration says that the peer is an agent; what the peer says of that does not matter. */
  constructor(local: LocalCapabilities, grammarian: Grammarian, mayRelay: boolean) {
    this.#local = local;
    this.#grammarian = grammarian;
    this.#mayRelay = mayRelay;
  }

  /** A CER for a connection from this address of ours. */
  request(address: Uint8Array): DiameterMessage {
    return this.#grammarian.message(CER, APPLICATION.COMMON, this.#content(address));
  }

  /** The CEA to a CER that was accepted. */
  answer(cer: DiameterMessage, address: Uint8Array): DiameterMessage {
    const content = { 'Result-Code': RESULT.SUCCESS, ...this.#content(address) };
    return answerTo(cer, this.#grammarian.write(CEA, content));
  }

  /** The CEA to one that was not, or the error answer that stands for it. */
  refusal(cer: DiameterMessage, violation: Violation): DiameterMessage {
    return errorAnswer(this.#grammarian, this.#local.origin, cer, violation);
  }

  /** Who sends this CER, or why it is not welcome. */
  readRequest(cer: DiameterMessage, host: string): PeerCapabilities | Violation {
    if (cer.flags & FLAG.E) return refused(RESULT.INVALID_HDR_BITS, 'a request with the E bit');
    const content = this.#grammarian.read(CER, cer);
    if (isViolation(content)) return content;
    return this.#judge(content, host);
  }

  /** Who sends this CEA, or what is wrong with it. */
  readAnswer(cea: DiameterMessage, host: string): PeerCapabilities | Violation {
    const content = this.#grammarian.read(CEA, cea);
    if (isViolation(content)) return content;
    const result = content['Result-Code'];
    if (cea.flags & FLAG.E) return refused(result, `the peer answers ${resultName(result)} with the E bit`);
    if (result !== RESULT.SUCCESS) return refused(result, `the peer refuses: ${resultName(result)}`);
    return this.#judge(content, host);
  }

  #judge(content: Content<typeof CER> | Content<typeof CEA>, host: string): PeerCapabilities | Violation {
    if (content['Origin-Host'].toLowerCase() !== host.toLowerCase()) {
      return refused(RESULT.UNKNOWN_PEER, `not ${host}`);
    }
    // Either end names what it can do; TLS inside the connection, RFC 3588's, is not done here.
    const inband = content['Inband-Security-Id'] ?? [];
    if (inband.length > 0 && !inband.includes(NO_INBAND_SECURITY)) {
      return refused(RESULT.NO_COMMON_SECURITY, 'no common Inband-Security-Id');
    }
    const applications = applicationsOf(content);
    // RFC 6733 5.3: one application in common, or a relay, which has all. A proxy names only its own (2.8.2).
    const relay = this.#mayRelay;
    const common = this.#local.applications.some((id) => id === APPLICATION.RELAY || applications.includes(id));
    if (!common && !(relay && applications.includes(APPLICATION.RELAY)))
      return refused(RESULT.NO_COMMON_APPLICATION, 'no common application');
    return {
      host: content['Origin-Host'],
      realm: content['Origin-Realm'],
      productName: content['Product-Name'],
      originStateId: content['Origin-State-Id'],
      applications,
      relay,
    };
  }

  #content(address: Uint8Array) {
    const { origin, addresses, vendorId, productName, originStateId, applications, supportedVendors } = this.#local;
    return {
      'Origin-Host': origin.host,
      'Origin-Realm': origin.realm,
      'Host-IP-Address': addresses.length > 0 ? addresses : [address],
      'Vendor-Id': vendorId,
      'Product-Name': productName,
      'Origin-State-Id': originStateId,
      'Supported-Vendor-Id': supportedVendors,
      'Auth-Application-Id': applications,
      'Inband-Security-Id': [NO_INBAND_SECURITY],
    } as const;
  }
}

/** RFC 6733 5.3: the Vendor-Id inside Vendor-Specific-Application-Id does not matter. */
function applicationsOf(content: Content<typeof CER> | Content<typeof CEA>): number[] {
  const specific = content['Vendor-Specific-Application-Id'] ?? [];
  return [
    ...(content['Auth-Application-Id'] ?? []),
    ...(content['Acct-Application-Id'] ?? []),
    ...specific.flatMap((id) => [id['Auth-Application-Id'], id['Acct-Application-Id']]),
  ].filter((id) => id !== undefined);
}

function refused(resultCode: number, text: string): Violation {
  return { resultCode, failedAvp: undefined, text };
}
