//! The projection, fitted to the sample; where a layer is on, the layer's.

use serde_json::Value;

use super::layer::{load_layer, parent_of_projection};
use super::place::Place;
use super::result::Stamp;
use super::stage::{Made, Stage, bring_up_to_date};
use crate::error::Result;
use crate::memory::Need;
use crate::projection::{Covariance, Projection, memory};
use crate::store::{
    Inputs, Kind, PcaReport, open_sample, open_stage, projection_of, require_parent,
};
use crate::words::counted;

struct FitPca<'a, 'p> {
    place: &'a Place<'p>,
    inputs: Inputs,
}

/// Brings the projection of a place up to date with what it is made from: the sample, or the layer.
///
/// # Errors
/// As [`Projection::fit`].
pub(crate) fn bring_pca(place: &Place<'_>, parent: &Stamp) -> Result<Stamp> {
    let name = parent_of_projection(place).file_name();
    let parents = [(name, parent.fingerprint.as_str())];
    let settings = place.settings(Kind::Pca);
    let inputs = Inputs::new(Kind::Pca.name(), settings, &parents, Value::Null);
    Ok(bring_up_to_date(&[FitPca { place, inputs }])?.remove(0).stamp)
}

impl Stage for FitPca<'_, '_> {
    type Model = Projection;
    type Report = PcaReport;
    const KIND: Kind = Kind::Pca;

    fn place(&self) -> &Place<'_> {
        self.place
    }

    fn inputs(&self) -> Result<&Inputs> {
        Ok(&self.inputs)
    }

    fn need(&self) -> Need {
        memory::need(self.place.config.descriptors.dim())
    }

    fn summary(made: &[Made<Projection, PcaReport>]) -> String {
        let of_one = |Made { model, report, .. }: &Made<Projection, PcaReport>| {
            let dimensions = counted(model.components().nrows(), "dimension");
            let input = model.input_dim();
            let descriptors = counted(report.rows, "descriptor");
            match report.variance_kept {
                None => format!("{input} → {dimensions}, as given"),
                Some(kept) => {
                    let kept = 100.0 * kept;
                    format!("{input} → {dimensions}, {kept:.1} % of the variance of {descriptors}")
                }
            }
        };
        made.iter().map(of_one).collect::<Vec<_>>().join("; ")
    }

    fn make(missing: &[&Self]) -> Result<Vec<Made<Projection, PcaReport>>> {
        missing.iter().map(|stage| stage.fit()).collect()
    }
}

impl FitPca<'_, '_> {
    fn fit(&self) -> Result<Made<Projection, PcaReport>> {
        let progress = self.place.work.progress;
        if self.place.config.layer.is_on() {
            let (pca, _, layer) = load_layer(self.place)?;
            let mut report = PcaReport::new(&pca, layer.rows);
            report.variance_kept = layer.variance_kept;
            return Ok(Made { model: pca, report, lacking: Vec::new() });
        }
        let (artifact, _) = open_sample(&self.place.path(Kind::Sample))?;
        let rows = artifact.matrix("rows")?;
        let mut covariance = Covariance::new(rows.row(0));
        covariance.add(rows, progress)?;
        let pca = Projection::fit(&covariance, &self.place.config.pca, progress)?;
        let report = PcaReport::new(&pca, rows.nrows());
        Ok(Made { model: pca, report, lacking: Vec::new() })
    }
}

/// The stored projection and its fingerprint.
///
/// # Errors
/// [`Error::Artifact`] when it is damaged or was made from another sample or layer than the run's.
pub(crate) fn load_projection(place: &Place<'_>) -> Result<(Projection, String)> {
    let artifact = open_stage(&place.path(Kind::Pca), Kind::Pca)?;
    let parent = parent_of_projection(place);
    if let Some(found) = require_parent(&artifact, &place.path(parent))? {
        place.refuse_settings_of(&found, parent)?;
    }
    Ok((projection_of(&artifact)?, artifact.header().fingerprint.clone()))
}
