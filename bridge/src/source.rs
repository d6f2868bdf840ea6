//! What is done to a template's source before it is compiled: its tags are bounded, and transformers' own are replaced.

/// Templates in use stay below 17 kB, their tags below 2,500 bytes.
const MAX_SOURCE_BYTES: usize = 64 << 10;
const MAX_TAG_BYTES: usize = 4096;
/// The engine compiles an expression by recursion and folds it in quadratic time, so its length is bounded more closely.
const MAX_OPERATORS: usize = 256;
/// Signs in a row, each of which the engine tries to fold into the next.
const MAX_SIGNS: usize = 64;

/// Checks the bounds and replaces `{% generation %}`, which marks for training what an assistant wrote and renders as its
/// body. Errors are messages.
pub fn prepare(source: &str) -> Result<String, String> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(format!("it is larger than {MAX_SOURCE_BYTES} bytes"));
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut in_raw = false;
    while let Some(start) = rest.find('{') {
        let tag_end = match rest.as_bytes().get(start + 1) {
            Some(b'%') => start + block_end(&rest[start..], in_raw),
            Some(b'{') if !in_raw => start + tag_end(&rest[start..], "}}"),
            Some(b'#') if !in_raw => {
                start
                    + rest[start..]
                        .find("#}")
                        .map_or(rest.len() - start, |end| end + 2)
            }
            _ => start + 1,
        };
        let tag = &rest[start..tag_end];
        out.push_str(&rest[..start]);
        if !tag.starts_with("{#") {
            check_tag(tag)?;
        }
        match block_name(tag) {
            Some("raw") => in_raw = true,
            Some("endraw") => in_raw = false,
            _ => {}
        }
        match block_name(tag).filter(|_| !in_raw) {
            Some("generation") => out.push_str(&tag.replacen("generation", "if true", 1)),
            Some("endgeneration") => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = &rest[tag_end..];
    }
    Ok(out + rest)
}

/// Bytes of the block tag that `text` begins with; inside raw only `{% endraw %}` is a tag.
fn block_end(text: &str, in_raw: bool) -> usize {
    let end = tag_end(text, "%}");
    if in_raw
        && block_name(&text[..text.find("%}").map_or(text.len(), |at| at + 2)]) != Some("endraw")
    {
        return 2;
    }
    end
}

/// The only word of a block tag, such as `raw`; none where it has more than one.
fn block_name(tag: &str) -> Option<&str> {
    let inner = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let name = inner.trim_matches(['-', '+']).trim();
    (!name.is_empty() && name.bytes().all(|c| c.is_ascii_lowercase())).then_some(name)
}

/// Bytes of the tag that `text` begins with, closed by `close` outside texts and brackets; all of `text` if it is not.
fn tag_end(text: &str, close: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut n_open) = (2, 0usize);
    while at < bytes.len() {
        if n_open == 0 && bytes[at..].starts_with(close.as_bytes()) {
            return at + close.len();
        }
        match bytes[at] {
            quote @ (b'\'' | b'"') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'(' | b'[' | b'{' => n_open += 1,
            b')' | b']' | b'}' => n_open = n_open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    text.len()
}

fn check_tag(tag: &str) -> Result<(), String> {
    if tag.len() > MAX_TAG_BYTES {
        return Err(format!("a tag is longer than {MAX_TAG_BYTES} bytes"));
    }
    if n_operators(tag) > MAX_OPERATORS {
        return Err(format!("more than {MAX_OPERATORS} operators in a tag"));
    }
    let mut n_signs = 0;
    for byte in tag.bytes() {
        match byte {
            b'-' | b'+' => n_signs += 1,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => n_signs = 0,
        }
        if n_signs > MAX_SIGNS {
            return Err(format!("more than {MAX_SIGNS} signs in a row"));
        }
    }
    Ok(())
}

/// Operators, calls and subscripts outside texts, and words, any of which may be an operator.
fn n_operators(tag: &str) -> usize {
    let mut count = 0;
    let mut quote = None;
    let mut in_word = false;
    let mut bytes = tag.bytes();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (Some(_), b'\\') => {
                bytes.next();
            }
            (Some(end), _) if byte == end => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (
                None,
                b'~' | b'+' | b'-' | b'*' | b'/' | b'%' | b'|' | b'.' | b'(' | b'[' | b'<' | b'>'
                | b'=',
            ) => count += 1,
            (None, _) => {
                let is_letter = byte.is_ascii_alphabetic();
                count += usize::from(is_letter && !in_word);
            }
        }
        in_word = quote.is_none() && (byte.is_ascii_alphanumeric() || byte == b'_');
    }
    count
}
