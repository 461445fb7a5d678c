//! What wit-bindgen generates from the WIT: the only place of this crate with `unsafe` in it.
//!
//! All four worlds live in one crate. That works because `pub_export_macro` leaves the exports out of what this crate puts into
//! a component: the world that a plugin exports comes from the macro's expansion in the plugin's own crate.
#![allow(unsafe_code, clippy::all, missing_docs)]

/// Text that the host gave. Checking it again costs as much as handing it over did.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    debug_assert!(std::str::from_utf8(&bytes).is_ok());
    // SAFETY: the interface promises UTF-8, and the host keeps its texts in types that hold nothing else. A host that broke
    // the promise could harm this instance only, over whose memory it rules anyway.
    unsafe { String::from_utf8_unchecked(bytes) }
}

pub mod filter {
    wit_bindgen::generate!({ path: "wit", world: "filter", pub_export_macro: true, generate_all });
}

pub mod sampler {
    wit_bindgen::generate!({
        path: "wit",
        world: "sampler",
        pub_export_macro: true,
        with: {
            "tamis:plugin/batch@0.1.0": crate::bindings::filter::tamis::plugin::batch,
            "tamis:plugin/log@0.1.0": crate::bindings::filter::tamis::plugin::log,
        },
    });
}

pub mod scrubber {
    wit_bindgen::generate!({
        path: "wit",
        world: "scrubber",
        pub_export_macro: true,
        with: {
            "tamis:plugin/batch@0.1.0": crate::bindings::filter::tamis::plugin::batch,
            "tamis:plugin/log@0.1.0": crate::bindings::filter::tamis::plugin::log,
        },
    });
}

pub mod fingerprinter {
    wit_bindgen::generate!({
        path: "wit",
        world: "fingerprinter",
        pub_export_macro: true,
        with: {
            "tamis:plugin/batch@0.1.0": crate::bindings::filter::tamis::plugin::batch,
            "tamis:plugin/log@0.1.0": crate::bindings::filter::tamis::plugin::log,
        },
    });
}
