//! Whether the libraries of matrix products run on this processor.
//!
//! They look for one instruction set and use its neighbours too: `gemm` takes FMA for all of x86-64-v3
//! and `nano-gemm` AVX2, both AVX-512F for all of x86-64-v4. Real processors have such a set whole or
//! lack it whole, but for a few (AMD Piledriver has FMA without AVX2); emulators and virtual machines
//! may hide any part.

/// What this processor has and lacks, where products would fail on it.
pub fn unsupported() -> Option<String> {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected;
        let v3 = [
            ("FMA", is_x86_feature_detected!("fma")),
            ("AVX2", is_x86_feature_detected!("avx2")),
            ("AVX", is_x86_feature_detected!("avx")),
            ("BMI1", is_x86_feature_detected!("bmi1")),
            ("BMI2", is_x86_feature_detected!("bmi2")),
            ("LZCNT", is_x86_feature_detected!("lzcnt")),
            ("POPCNT", is_x86_feature_detected!("popcnt")),
        ];
        let v4 = [
            ("AVX-512F", is_x86_feature_detected!("avx512f")),
            ("AVX-512BW", is_x86_feature_detected!("avx512bw")),
            ("AVX-512CD", is_x86_feature_detected!("avx512cd")),
            ("AVX-512DQ", is_x86_feature_detected!("avx512dq")),
            ("AVX-512VL", is_x86_feature_detected!("avx512vl")),
            ("AVX2", is_x86_feature_detected!("avx2")),
            ("FMA", is_x86_feature_detected!("fma")),
        ];
        torn(&v3, 2).or_else(|| torn(&v4, 1))
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// The widest instructions that products are made with, by name.
pub fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        return "AVX-512";
    } else if std::arch::is_x86_feature_detected!("avx2") {
        return "AVX2";
    }
    #[cfg(target_arch = "aarch64")]
    return "NEON";
    #[cfg(not(target_arch = "aarch64"))]
    "no wide instructions"
}

/// Of a set of instructions with whether they are there: what is missing, where one of the first `keys`
/// is there, which stand for all.
#[cfg(any(target_arch = "x86_64", test))]
fn torn(set: &[(&str, bool)], keys: usize) -> Option<String> {
    let key = set[..keys].iter().find(|(_, there)| *there)?.0;
    let missing: Vec<&str> =
        set.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "it has {key} but not {}, and matrix products expect both or neither; use another \
             processor, or a virtual machine or emulator that shows all of {key}, {} or none",
            missing.join(", "),
            missing.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_there_whole_or_not_at_all() {
        let set = |there: [bool; 3]| -> Option<String> {
            let names = ["FMA", "AVX2", "BMI2"];
            torn(&std::array::from_fn::<_, 3, _>(|i| (names[i], there[i])), 2)
        };
        assert_eq!(set([true; 3]), None);
        assert_eq!(set([false; 3]), None);
        // What nothing is chosen by may be there alone.
        assert_eq!(set([false, false, true]), None);
        let message = set([true, false, true]).unwrap();
        assert!(message.starts_with("it has FMA but not AVX2,"), "{message}");
        let message = set([false, true, false]).unwrap();
        assert!(message.starts_with("it has AVX2 but not FMA, BMI2,"), "{message}");
    }

    /// Or no test that multiplies would pass.
    #[test]
    fn this_processor_is_supported() {
        assert_eq!(unsupported(), None);
    }
}
