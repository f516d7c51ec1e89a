#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fvtool_fuzz::targets::image(data));
