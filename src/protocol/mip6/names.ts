/** Maximum length of a NAI or FQDN that is passed to a hook, in octets (RFC 7542 2.2, RFC 1035 2.3.4). */
export const MAX_NAME = 253;

/**
 * Why a NAI or FQDN must not be passed to a hook; undefined if it may be. Hooks write it into configuration and file
 * names. This check is stricter than RFC 7542: it rejects all characters that have a meaning in a shell, a path or a
 * configuration language.
 */
export function checkName(text: string): string | undefined {
  if (text.length === 0) return 'it is empty';
  if (text.length > MAX_NAME) return `it has more than ${MAX_NAME} octets`;
  if (!/^[A-Za-z0-9]/.test(text)) return 'it does not begin with a letter or digit';
  if (!/^[A-Za-z0-9._+@-]*$/.test(text))
    return 'it contains characters other than letters, digits, ".", "-", "_", "+" and "@"';
  if (text.includes('..')) return 'it contains ".."';
  return undefined;
}

/** RFC 7542 2.2: an NAI is a user name, optionally followed by one `@` and a realm. Returns why a text is no NAI. */
export function checkNai(text: string): string | undefined {
  const [, realm, ...more] = text.split('@');
  if (more.length > 0) return 'it has more than one "@"';
  if (realm === '') return 'its realm is empty';
  return checkName(text);
}

/** Whether an NAI has a realm, by which an access network finds the home network. */
export function hasRealm(nai: string): boolean {
  return nai.includes('@');
}
