type Inverse<T extends Readonly<Record<number, string>>> = { readonly [K in keyof T as T[K] & string]: K };

/** The values of an enumeration by their names, from their names by value. */
export function inverse<const T extends Readonly<Record<number, string>>>(names: T): Inverse<T> {
  return Object.fromEntries(Object.entries(names).map(([value, name]) => [name, Number(value)])) as Inverse<T>;
}
