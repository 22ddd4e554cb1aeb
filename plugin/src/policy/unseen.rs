//! The characters that do not show themselves: one list for the check before a
//! judgement and for the escaping of what a person reads.
//!
//! Invariant: what a display would hide, reorder or show as something else is in
//! here, so that no text passes the one unseen and the other unescaped. The helper
//! compiles this same file. What becomes of such a character is not decided here.

/// Why a character is not seen as what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// Acts on a display instead of being shown, or ends a line in many viewers.
    Control,
    /// Changes the order in which text is shown.
    Bidi,
    /// Has no shape, or none that is agreed on.
    Invisible,
    /// Looks like a plain space and is none.
    Space,
    /// Stands for something that could not be read.
    Replacement,
}

/// What keeps a character from being seen as what it is; none for one that shows
/// itself. The ranges follow the Unicode properties `Cc`, `Bidi_Control`,
/// `Default_Ignorable_Code_Point` (the rest of the planes from U+E0000 on included),
/// `Noncharacter_Code_Point`, `Zs`, `Zl` and `Zp`. Tab and newline are controls.
pub(crate) fn unseen(character: char) -> Option<Unseen> {
    if matches!(character, ' '..='~') {
        return None;
    }
    // The last two of every plane are no characters (Unicode, section 23.7).
    if u32::from(character) & 0xfffe == 0xfffe {
        return Some(Unseen::Invisible);
    }
    match character {
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => Some(Unseen::Control),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(Unseen::Bidi)
        }
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffc}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' => Some(Unseen::Invisible),
        // Private use, tags, variation selectors, and what may become either.
        '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}' => Some(Unseen::Invisible),
        '\u{a0}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200a}'
        | '\u{202f}'
        | '\u{205f}'
        | '\u{2800}'
        | '\u{3000}' => Some(Unseen::Space),
        '\u{fffd}' => Some(Unseen::Replacement),
        _ => None,
    }
}
