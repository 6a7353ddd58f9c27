//! Letters that the glass has: typography becomes what the faces can show, and what has no picture
//! is counted rather than lost in silence.

/// Which letters a glass can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// The faces for pixels: Latin-1.
    Latin1,
    /// Characters that every character panel has.
    Ascii,
}

/// Text that the glass can show, and how many characters were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) text: String,
    pub(super) dropped: u32,
}

/// Turns text into letters that the glass has.
pub(super) fn plain(text: &str, alphabet: Alphabet) -> Plain {
    let mut plain = Plain { text: String::with_capacity(text.len()), dropped: 0 };
    for character in text.chars() {
        if shows(character, alphabet) {
            plain.text.push(character);
        } else if let Some(instead) = typographic(character).or_else(|| latin(character)) {
            // What stands in for a letter may itself be Latin-1, which has one more step to go.
            for stand_in in instead.chars() {
                match latin(stand_in) {
                    Some(letters) if !shows(stand_in, alphabet) => plain.text.push_str(letters),
                    Some(_) | None => plain.text.push(stand_in),
                }
            }
        } else {
            plain.dropped += 1;
        }
    }
    plain
}

fn shows(character: char, alphabet: Alphabet) -> bool {
    match character {
        ' '..='~' => true,
        '\u{a1}'..='\u{ff}' if character != '\u{ad}' => alphabet == Alphabet::Latin1,
        _ => false,
    }
}

/// Returns what stands in for a character that has no letter of its own in a face.
fn typographic(character: char) -> Option<&'static str> {
    Some(match character {
        '\t' | '\n' | '\r' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' => " ",
        '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        // Marks that say how to break, join or accent, and are nothing to look at.
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => "",
        '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => "",
        '\u{300}'..='\u{36f}' => "",
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2032}' | '\u{2bc}' => "'",
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{2033}' => "\"",
        '\u{2039}' => "<",
        '\u{203a}' => ">",
        '\u{2010}'..='\u{2013}' | '\u{2212}' => "-",
        '\u{2014}' | '\u{2015}' => " - ",
        '\u{2026}' => "...",
        '\u{2022}' | '\u{2023}' | '\u{2043}' => "*",
        '\u{20ac}' => "EUR",
        '\u{2122}' => "TM",
        '\u{2192}' => "->",
        '\u{2190}' => "<-",
        '\u{2260}' => "!=",
        '\u{2264}' => "<=",
        '\u{2265}' => ">=",
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        _ => return None,
    })
}

/// Returns plain letters for accented ones of Latin-1 and Latin Extended-A.
fn latin(character: char) -> Option<&'static str> {
    Some(match character {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => "A",
        'à'..='ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'Æ' => "AE",
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => "C",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'Ð' | 'Ď' | 'Đ' => "D",
        'ð' | 'ď' | 'đ' => "d",
        'È'..='Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' => "E",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => "G",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'Ĥ' | 'Ħ' => "H",
        'ĥ' | 'ħ' => "h",
        'Ì'..='Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' => "I",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'Ĵ' => "J",
        'ĵ' => "j",
        'Ķ' => "K",
        'ķ' | 'ĸ' => "k",
        'Ĺ' | 'Ļ' | 'Ľ' | 'Ŀ' | 'Ł' => "L",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' | 'Ŋ' => "N",
        'ñ' | 'ń' | 'ņ' | 'ň' | 'ŉ' | 'ŋ' => "n",
        'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ŏ' | 'Ő' => "O",
        'ò'..='õ' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'ö' | 'œ' => "oe",
        'Œ' => "OE",
        'Ŕ' | 'Ŗ' | 'Ř' => "R",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'Ś' | 'Ŝ' | 'Ş' | 'Š' | 'Ș' => "S",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' | 'ſ' => "s",
        'ß' => "ss",
        'Ţ' | 'Ť' | 'Ŧ' | 'Ț' => "T",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'Ù'..='Ü' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' => "U",
        'ù'..='û' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ü' => "ue",
        'Ŵ' => "W",
        'ŵ' => "w",
        'Ý' | 'Ŷ' | 'Ÿ' => "Y",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'Ź' | 'Ż' | 'Ž' => "Z",
        'ź' | 'ż' | 'ž' => "z",
        'Þ' => "Th",
        'þ' => "th",
        other => return sign(other),
    })
}

/// Returns plain letters for the signs of Latin-1.
fn sign(character: char) -> Option<&'static str> {
    Some(match character {
        '¡' => "!",
        '¿' => "?",
        '«' | '»' => "\"",
        '´' => "'",
        '·' => ".",
        '×' => "x",
        '÷' => "/",
        '°' => "o",
        '©' => "(c)",
        '®' => "(R)",
        '£' => "GBP",
        '½' => "1/2",
        '¼' => "1/4",
        '¾' => "3/4",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typography_becomes_what_the_glass_has_and_losses_are_counted() {
        for (text, latin1, ascii, dropped) in [
            ("it’s “so” – yes…", "it's \"so\" - yes...", "it's \"so\" - yes...", 0),
            ("wonder more—it", "wonder more - it", "wonder more - it", 0),
            ("Żółć and Ærø", "Zólc and Ærø", "Zolc and AEro", 0),
            ("naïve\u{a0}café\u{ad}s", "naïve cafés", "naive cafes", 0),
            ("e\u{301}tude", "etude", "etude", 0),
            ("ﬁn «½»", "fin «½»", "fin \"1/2\"", 0),
            ("Привет \u{1f600}!", " !", " !", 7),
        ] {
            let expected = Plain { text: latin1.to_owned(), dropped };
            assert_eq!(plain(text, Alphabet::Latin1), expected, "{text}");
            let expected = Plain { text: ascii.to_owned(), dropped };
            assert_eq!(plain(text, Alphabet::Ascii), expected, "{text}");
        }
    }
}
