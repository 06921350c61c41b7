//! The replica for JavaScript, sixth part: blocks. Hashes and ids go out as hex digits, signatures too.
use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::EdgeError;
use super::output::object;
use super::replica::Replica;
use super::space::{summary, to_js};
use crate::replica::{BlockInfo, ChainFault};

#[wasm_bindgen]
impl Replica {
    /// How many blocks there are.
    #[wasm_bindgen(js_name = blockCount)]
    pub fn block_count(&self) -> f64 {
        self.core().block_count() as f64
    }

    /// A block, with the signatures on it; of a log whose rows are all here.
    pub fn block(&self, at: f64) -> JsValue {
        self.core().block(at as usize).map_or(JsValue::UNDEFINED, |info| block_to_js(&info))
    }

    /// What a block holds of what is no statement of validators, as a history shows it.
    #[wasm_bindgen(js_name = blockOperations)]
    pub fn block_operations(&self, at: f64) -> Result<JsValue, EdgeError> {
        to_js(&self.core().block_operations(at as usize).into_iter().map(summary).collect::<Vec<_>>())
    }

    /// Why no blocks follow, if two are certified at one height.
    #[wasm_bindgen(js_name = blocksHalt)]
    pub fn blocks_halt(&self) -> JsValue {
        self.core().blocks_halt().map_or(JsValue::UNDEFINED, |halt| {
            let blocks: Array = halt.blocks.iter().map(|id| JsValue::from(id.to_string())).collect();
            let members: Array = halt.liars.iter().map(|member| JsValue::from(member.to_string())).collect();
            object(&[
                ("height", (halt.height as f64).into()),
                ("blocks", blocks.into()),
                ("signers", members.into()),
            ])
        })
    }

    /// How many blocks were worked out once more, and what is wrong at which height, if anything is.
    #[wasm_bindgen(js_name = verifyBlocks)]
    pub fn verify_blocks(&self) -> JsValue {
        match self.core().verify_blocks() {
            Ok(blocks) => object(&[("blocks", (blocks as f64).into())]),
            Err(fault) => {
                let (ChainFault::Differs(height) | ChainFault::Certificate(height)) = fault;
                let blocks = self.core().block_count() as f64;
                object(&[
                    ("blocks", blocks.into()),
                    ("height", (height as f64).into()),
                    ("reason", fault.to_string().into()),
                ])
            }
        }
    }
}

fn block_to_js(info: &BlockInfo) -> JsValue {
    let header = &info.block.header;
    let text = |text: &dyn std::fmt::Display| JsValue::from(text.to_string());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let votes: Array = info
        .certificate
        .iter()
        .map(|(member, actor, vote)| {
            object(&[
                ("member", text(member)),
                ("actor", text(actor)),
                ("signature", hex(&vote.signature.0).into()),
            ])
        })
        .collect();
    object(&[
        ("id", text(&info.block.id)),
        ("height", (header.height as f64).into()),
        ("round", info.block.round.into()),
        ("time", (header.time_ms as f64).into()),
        ("previous", text(&header.previous)),
        ("size", (header.size as f64).into()),
        ("root", text(&header.root)),
        ("frontier", text(&header.frontier)),
        ("validators", text(&header.set)),
        ("nextValidators", text(&header.next_set)),
        ("proposer", text(&info.block.proposer)),
        ("actor", text(&info.signer)),
        ("signature", hex(&info.signed.signature.0).into()),
        ("header", hex(&header.encode()).into()),
        ("certificate", votes.into()),
        ("changesets", info.changesets.iter().map(|id| text(id)).collect::<Array>().into()),
    ])
}
