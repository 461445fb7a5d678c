//! Names of native functions without what differs between builds and compilers: return types, parameters, arguments of
//! templates, hashes. `std::vector<int>::push_back(int const&)` is `std::vector<T>::push_back`.

/// Stand for what would be taken for brackets: `<` of an operator, `()`, an arrow, and the anonymous namespace.
const LESS: char = '\u{1}';
const CALL: char = '\u{2}';
const ARROW: char = '\u{3}';
const ANONYMOUS: char = '\u{4}';

/// Bytes of a name that is still one. What is longer was made to take time.
const NAME_BYTES_MAX: usize = 4096;
/// Types within types that are told apart.
const DEPTH_MAX: usize = 16;

pub fn trim(name: &str, platform: &str) -> String {
    let name = name.trim();
    if name.len() > NAME_BYTES_MAX {
        return name.to_owned();
    }
    // What the runtime of Objective-C prints has no signature.
    if ["[", "+[", "-["].iter().any(|method| name.starts_with(method)) {
        return name.to_owned();
    }
    let text = replace_enclosed(name, ('[', ']'), &|inner, _| match inner.starts_with("clone .") {
        true => String::new(),
        false => format!("[{inner}]"),
    });
    let mut text = without_trailers(text.trim_end()).to_owned();
    for (from, to) in [
        ("operator<<", format!("operator{LESS}{LESS}")),
        ("operator<", format!("operator{LESS}")),
        ("operator()", format!("operator{CALL}")),
        ("operator->", format!("operator{ARROW}")),
        (" -> ", format!(" {ARROW} ")),
        ("`anonymous namespace'", ANONYMOUS.to_string()),
    ] {
        if text.contains(from) {
            text = text.replace(from, &to);
        }
    }
    let text = with_one_name_for_each(&text);
    let text = replace_enclosed(&text, ('(', ')'), &|inner, _| match inner.trim() {
        inner @ ("anonymous namespace" | "operator") => format!("({inner})"),
        _ => String::new(),
    });
    let text = replace_enclosed(&text, ('<', '>'), &|inner, start| generics(inner, start, 0));
    let named = function_of(&text, platform).unwrap_or_else(|| name.to_owned());
    without_marks(&named)
}

/// `const` and `&` at the end.
fn without_trailers(mut text: &str) -> &str {
    loop {
        let shorter = text.strip_suffix('&').or_else(|| {
            let rest = text.strip_suffix("const")?;
            (!rest.ends_with(|c: char| c.is_alphanumeric() || c == '_')).then_some(rest)
        });
        match shorter {
            Some(rest) => text = rest.trim_end(),
            None => return text,
        }
    }
}

/// Lambdas and anonymous namespaces, which every compiler names in another way.
fn with_one_name_for_each(text: &str) -> String {
    if !["lambda", "$_", "?A0x"].iter().any(|sign| text.contains(sign)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let follows_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if let Some(length) = lambda(rest, follows_word) {
            out.push_str("lambda");
            rest = &rest[length..];
        } else if let Some(behind) = anonymous_namespace(rest) {
            out.push(ANONYMOUS);
            rest = behind;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// The length of a lambda's name in front: `{lambda(int)#2}`, `lambda_` and 32 hexadecimal digits, `$_7`.
fn lambda(text: &str, follows_word: bool) -> Option<usize> {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let ends_word = |s: &str| !s.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    if let Some(inner) = text.strip_prefix("{lambda(") {
        let found = inner.match_indices(")#").find_map(|(at, sign)| {
            let number = at + sign.len();
            let end = number + digits(&inner[number..]);
            (end > number && inner[end..].starts_with('}')).then_some(end + 1)
        });
        return found.map(|end| text.len() - inner.len() + end);
    }
    if let Some(rest) = text.strip_prefix("lambda_").filter(|_| !follows_word) {
        let hash = rest.bytes().take_while(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')).count();
        return (hash == 32 && ends_word(&rest[hash..])).then_some(7 + hash);
    }
    let rest = text.strip_prefix("$_")?;
    let number = digits(rest);
    (number > 0 && ends_word(&rest[number..])).then_some(2 + number)
}

/// What follows `?A0x` and eight digits, if it is `::`.
fn anonymous_namespace(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("?A0x")?;
    let is_hash =
        rest.len() > 8 && rest.bytes().take(8).all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    (is_hash && rest[8..].starts_with("::")).then(|| &rest[8..])
}

/// Arguments are all one. At the very beginning stands a type of Rust, perhaps with its trait: `<T as Trait>::f` is `T::f`.
fn generics(inner: &str, start: usize, depth: usize) -> String {
    if inner == "lambda" {
        return "<lambda>".to_owned();
    }
    if start > 0 || depth > DEPTH_MAX {
        return "<T>".to_owned();
    }
    let mut chars = inner.chars();
    let is_blanket =
        chars.next().is_some_and(|c| c.is_ascii_uppercase()) && chars.as_str().starts_with(" as ");
    // An implementation for all types is told by its trait.
    let inner = if is_blanket { &inner[5..] } else { inner };
    let inner = replace_enclosed(inner, ('<', '>'), &|inner, start| generics(inner, start, depth + 1));
    inner.split(" as ").next().unwrap_or_default().to_owned()
}

/// Replaces what stands in pairs of brackets, outermost pairs only; `replace` is told where the pair opens.
fn replace_enclosed(
    text: &str,
    (open, close): (char, char),
    replace: &dyn Fn(&str, usize) -> String,
) -> String {
    if !text.contains(open) {
        return text.to_owned();
    }
    let (mut out, mut depth, mut begin) = (String::with_capacity(text.len()), 0i32, 0);
    for (at, c) in text.char_indices() {
        if c == open {
            if depth == 0 {
                begin = at;
            }
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                out.push_str(&replace(text.get(begin + 1..at).unwrap_or_default(), begin));
            }
        } else if depth == 0 {
            out.push(c);
        }
    }
    out
}

/// Words; blanks within brackets separate none.
fn tokens(text: &str) -> Vec<String> {
    let (mut all, mut word, mut stack) = (Vec::new(), String::new(), Vec::new());
    let mut opened = 0;
    for c in text.chars() {
        if stack.is_empty() {
            opened = word.len();
        }
        match c {
            c if c.is_whitespace() && stack.is_empty() => {
                if !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                continue;
            }
            '(' => stack.push(')'),
            '{' => stack.push('}'),
            '[' => stack.push(']'),
            '<' => stack.push('>'),
            c if stack.last() == Some(&c) => {
                stack.pop();
            }
            _ => {}
        }
        word.push(c);
    }
    if !stack.is_empty() {
        word.truncate(opened);
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

/// The word that is the function: the last one, or, as Swift has it, the one in front of the arrow.
fn function_of(text: &str, platform: &str) -> Option<String> {
    let mut words = tokens(text);
    if words.len() > 1 && words.last().is_some_and(|last| last == "<T>") {
        words.pop();
        words.last_mut()?.push_str(" <T>");
    }
    let mut name = match words
        .iter()
        .rposition(|word| word == "of")
        .filter(|_| text.contains("initialization expression of"))
    {
        Some(of) => {
            let object = words.get(of + 1).filter(|word| *word != "static").or_else(|| words.get(of + 2))?;
            format!("initializer expression of {}", object.trim_start_matches(':'))
        }
        None => {
            let arrow = words.iter().rposition(|word| word.chars().eq([ARROW])).filter(|at| *at > 0);
            let before = arrow.map(|at| if words[at - 1] == "throws" && at > 1 { at - 2 } else { at - 1 });
            words.get(before.unwrap_or(words.len().checked_sub(1)?))?.clone()
        }
    };
    if name.starts_with('@') && matches!(platform, "cocoa" | "swift") {
        let thunk = if text.contains("thunk for ") { "thunk for " } else { "" };
        name = format!("{thunk}closure");
    } else if name != "closure" && words.iter().any(|word| word == "closure") {
        name = format!("closure in {name}");
    }
    let name = name.replace(LESS, "<").replace(CALL, "()").replace(ARROW, "->");
    Some(name.replace(ANONYMOUS, "`anonymous namespace'")).filter(|name| !name.is_empty())
}

/// Without Rust's hash, the version of the C library, and what Windows adds.
fn without_marks(name: &str) -> String {
    let is_hash = |s: &str| s.len() == 16 && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let name = match name.rsplit_once("::h") {
        Some((front, hash)) if is_hash(hash) => front,
        _ => name,
    };
    let is_version = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let name = match name.rsplit_once("@GLIBC_") {
        Some((front, version)) if is_version(version) => front.strip_suffix('@').unwrap_or(front),
        _ => name,
    };
    match name.rsplit_once('@') {
        Some((front, bytes)) if !bytes.is_empty() && bytes.bytes().all(|b| b.is_ascii_digit()) => {
            front.strip_prefix('@').unwrap_or(front).to_owned()
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_functions() {
        for (name, want) in [
            ("main", "main"),
            ("std::vector<int, std::allocator<int> >::push_back(int const&)", "std::vector<T>::push_back"),
            ("unsigned int foo::bar(std::string const&) const", "foo::bar"),
            ("void (anonymous namespace)::f(int)", "(anonymous namespace)::f"),
            ("std::ostream& operator<<(std::ostream&, int)", "operator<<"),
            ("bool a::operator()(int) const &", "a::operator()"),
            ("<alloc::vec::Vec<T> as core::ops::Index>::index", "alloc::vec::Vec<T>::index"),
            ("<T as core::convert::Into<U>>::into", "core::convert::Into<T>::into"),
            ("std::panicking::begin_panic::h0123456789abcdef", "std::panicking::begin_panic"),
            ("main::{lambda(int)#12}::operator()(int)", "main::lambda::operator()"),
            ("<lambda_0123456789abcdef0123456789abcdef>::operator()", "<lambda>::operator()"),
            ("main::$_7::operator()", "main::lambda::operator()"),
            ("?A0x1234abcd::f", "`anonymous namespace'::f"),
            ("-[Foo bar:baz:]", "-[Foo bar:baz:]"),
            ("f(int) [clone .isra.0]", "f"),
            ("@f@8", "f"),
            ("memcpy@@GLIBC_2.14", "memcpy"),
            ("@objc Foo.bar() throws -> Swift.Int", "Foo.bar"),
            ("closure #1 in Foo.bar() -> ()", "closure in Foo.bar"),
            ("name<", "name"),
            (">", ">"),
            ("", ""),
        ] {
            assert_eq!(trim(name, "native"), want, "{name}");
        }
    }

    #[test]
    fn hostile_names() {
        for unit in ["<", "(", "[", "{lambda(", "&", "operator<", "a ", "const"] {
            for length in [NAME_BYTES_MAX, 1 << 20] {
                let begun = std::time::Instant::now();
                let open = unit.repeat(length / unit.len() / 2);
                trim(&(open.clone() + &">".repeat(open.len() / unit.len())), "native");
                assert!(begun.elapsed().as_secs() < 1, "{unit}: {:?}", begun.elapsed());
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_name(name in r"[<>()\[\]{}a-z:@$_ &0-9é'`?A#>-]{0,40}") {
            trim(&name, "swift");
        }
    }
}
