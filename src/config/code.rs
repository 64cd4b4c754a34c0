//! The codes of problems: stable, so that people can look them up and scripts can count them.
//!
//! `E` is an error, `F` a finding. A code is never used again for something else.

/// A file cannot be read, or can be written by others.
pub const FILE: &str = "E001";
/// A file is not TOML.
pub const TOML: &str = "E002";
/// A value of another type.
pub const TYPE: &str = "E003";
/// A key that must be there is not.
pub const MISSING: &str = "E004";
/// A key or table that nobody reads.
pub const UNKNOWN_KEY: &str = "E005";
/// TOML 1.1 and later: other tools could not read the file.
pub const DIALECT: &str = "E006";
/// A value that is of the right type and still makes no sense.
pub const VALUE: &str = "E007";
/// More of something than there may be.
pub const TOO_MANY: &str = "E008";
/// Two things of one name, or one where only none can be.
pub const CONFLICT: &str = "E009";
/// A field that the preset's catalogue does not know.
pub const FIELD_UNKNOWN: &str = "E012";
/// A line that sends more than the preset.
pub const WIDENS: &str = "E021";
/// Two routes that can match the same request.
pub const ROUTES_OVERLAP: &str = "E034";
/// A word, id kind, shape, type or preset that does not exist.
pub const WORD_UNKNOWN: &str = "E041";
/// A name that can be taken for another.
pub const CONFUSABLE: &str = "E042";
/// An identifier that comes from the vendor, of a kind without a way back.
pub const NO_WAY_BACK: &str = "E043";
/// Pseudonyms so short that two pupils may well get the same one: above one chance in a thousand.
pub const COLLISIONS_LIKELY: &str = "E044";
/// An agreement that ends before it begins.
pub const UNTIL_BEFORE_FROM: &str = "E055";
/// A key, a secret or a register that cannot be read, or can be read by others.
pub const KEY_FILE: &str = "E061";
/// What is read is no master key, or none that a generator made.
pub const KEY_BAD: &str = "E062";
/// A wrapped key that does not open, or is not the one its fingerprint names.
pub const KEY_SEALED: &str = "E064";
/// A vendor's key is another than the one pinned or in use.
pub const KEY_CHANGED: &str = "E065";
/// A file cannot be written.
pub const WRITE: &str = "E066";
/// A key, secret or certificate that is not on this machine.
pub const ABSENT: &str = "E067";
/// A certificate, its key or a list of roots that cannot be used.
pub const TLS: &str = "E068";
/// Part of the language, and not built yet.
pub const NOT_YET: &str = "E090";

/// Pseudonyms so short that two pupils may get the same one: above one chance in a million.
pub const COLLISIONS: &str = "F05";
/// A whole subtree passes.
pub const KEEP_ALL: &str = "F07";
/// An agreement that is not in force, or will soon not be.
pub const AGREEMENT: &str = "F08";
/// A parameter that could ask about fields which the vendor does not see.
pub const ASKS_FREELY: &str = "F10";
/// A shape or id kind that nothing uses.
pub const UNUSED: &str = "F12";
/// The admin listener can be reached from other machines.
pub const ADMIN_OPEN: &str = "F13";
/// A file among the vendors that is not read.
pub const FILE_UNREAD: &str = "F14";
/// Two shapes whose names differ in one letter.
pub const SIMILAR: &str = "F15";
/// An upstream without TLS that is not this machine, or a gateway that is called without.
pub const PLAIN_HTTP: &str = "F16";
/// The caller's own credentials go on to the upstream.
pub const FORWARDED: &str = "F17";
/// No vendor at all.
pub const NO_VENDOR: &str = "F18";
/// A setting that a reload cannot change.
pub const WAITS: &str = "F19";
/// A certificate that has expired, or soon will.
pub const CERTIFICATE: &str = "F20";
// F21 was a private key of TLS that others can read; now it is E061.
/// A list of objections that cannot be read, or is too old: the vendor is not served.
pub const OBJECTIONS: &str = "F22";
/// A line of a list of objections that is no identifier.
pub const OBJECTIONS_LINE: &str = "F23";
/// A text, a day or a long number of an error passes.
pub const ERROR_TOLD: &str = "F24";
/// Ids of the vendor's own making that do not lead back to it.
pub const OWN_IDS_LOST: &str = "F25";
/// One token, secret or certificate that two callers have.
pub const CALLERS_SHARED: &str = "F26";
/// `callers = "anyone"` behind an address that is not only this machine's.
pub const ANYONE: &str = "F27";
/// An upstream of a name that always leads to a private address, which is not allowed.
pub const PRIVATE_NAME: &str = "F28";
/// A value of `[only]` that no rule of its field sends.
pub const VALUE_UNLISTED: &str = "F29";
/// Routes that are not reached, because another flow answers under their paths.
pub const ROUTES_HIDDEN: &str = "F30";
/// A flow without a route.
pub const NO_ROUTE: &str = "F31";
/// A key that was prepared is in the ring no longer.
pub const PREPARED_LOST: &str = "F32";
