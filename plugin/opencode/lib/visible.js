//! Makes visible what nobody could see in a text.
//!
//! Invariant: what is returned has no character that changes the order or the look of
//! its neighbours without being seen itself. It does not shorten.

// Besides control characters: formats, separators that look like a space, fillers,
// variation selectors, private and unassigned characters.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\u115f\u1160\u2800\u3164\uffa0\ufe00-\ufe0f]|[^\S ]/gu

/** Makes unseen characters visible as `\u{hex}`. */
export function visible(text) {
  return String(text).replace(UNSEEN, (character) => `\\u{${character.codePointAt(0).toString(16)}}`)
}
