//! Errors that browser extensions throw into pages that are not theirs.

use tamis_plugin::Event;

/// Where the code of extensions lives.
const SCHEMES: &[&str] = &[
    "chrome-extension:",
    "chrome://",
    "moz-extension:",
    "ms-browser-extension:",
    "resource://",
    "safari-extension:",
    "safari-web-extension:",
    "webkit-masked-url:",
    "file:///extensions/",
];

/// Words, in lower case, of errors that are known to come from extensions, toolbars, injected advertisements and in-app browsers.
const MESSAGES: &[&str] = &[
    "__firefox__",
    "__gcrweb",
    "_avast_submit",
    "atomicfindclose",
    "bmi_safeaddonload",
    "canvas.contentdocument",
    "conduitpage",
    "ebcallbackmessagereceived",
    "extension context invalidated",
    "fb_xd_fragment",
    "instantsearchsdkjsbridgeclearhighlight",
    "jigsaw is not defined",
    "myapp_removeallhighlights",
    "originalcreatenotification",
    "plugin.setsuspendstate is not a function",
    "top.globals",
    "vid_mate_check",
    "zitereader",
];

/// Only in what runs in browsers, and by the exception that was raised last: the others led to it.
pub(crate) fn is_to_blame(event: &Event<'_>, scratch: &mut String) -> bool {
    if event.text("platform") != Some("javascript") {
        return false;
    }
    let Some(exception) = event.exceptions().next_back() else { return false };
    if let Some(value) = exception.text("value") {
        scratch.clear();
        scratch.push_str(value);
        scratch.make_ascii_lowercase();
        if MESSAGES.iter().any(|words| scratch.contains(words)) {
            return true;
        }
    }
    // The innermost frame with a place: the browser's own functions have none.
    let places = exception.frames().rev().filter_map(|f| f.text("abs_path").or_else(|| f.text("filename")));
    let is_place = |path: &&str| !matches!(*path, "<anonymous>" | "[native code]" | "");
    places.into_iter().find(is_place).is_some_and(|path| SCHEMES.iter().any(|s| path.starts_with(s)))
}
