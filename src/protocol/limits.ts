/** What a connector may write to stdout; one byte or line more is a breach. */
export interface LineLimits {
  /** Bytes of one line, LF not counted. */
  readonly messageBytesMax: number;
  /** Objects and arrays within one another, the message itself counted. */
  readonly nestingMax: number;
  /** Blank lines in a row. */
  readonly blankLinesMax: number;
  /** Bytes of one notification: it is parsed, unlike a result. */
  readonly notificationBytesMax: number;
}

const messageBytesMaxDefault = 32 * 1024 * 1024;
const nestingMaxDefault = 512;
const blankLinesMaxDefault = 64;
const notificationBytesMaxDefault = 256 * 1024;

/** The first two are those of `limits` in a config without them (config/defaults). */
export const lineLimitsDefault: LineLimits = {
  messageBytesMax: messageBytesMaxDefault,
  nestingMax: nestingMaxDefault,
  blankLinesMax: blankLinesMaxDefault,
  notificationBytesMax: notificationBytesMaxDefault,
};

/** Members that are looked at of one message, one result, one error and its data; more than any has. */
export const messageMembersMax = 64;

/** Bytes of what is parsed of a reply beside its body: `headers` and `logs`, each. */
export const replyFieldBytesMax = 256 * 1024;

/** Bytes of what is parsed of a message at once: the answer to `initialize`, an id, or those parts of another answer that mean something. */
export const parsedBytesMax = 1024 * 1024;

/** Objects and arrays within one another in what is parsed, whatever `nestingMax` lets pass: it is walked by recursion. */
export const parsedNestingMax = 512;

/** Bytes of an error’s message, as it is written in JSON, of which more is cut off: it goes into answers and logs. */
export const errorMessageBytesMax = 16 * 1024;

/** Bytes of an error’s detail, of which more is left out: unlike a body it is searched for secrets. */
export const errorDetailBytesMax = 1024 * 1024;
