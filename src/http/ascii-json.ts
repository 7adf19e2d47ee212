/** JSON in ASCII, as the reference writes it: other characters as \uXXXX. Undefined members are left out. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
