# The states and checkpoints lie in {root}/training/state, which no rule declares: Snakemake never deletes them, and the
# work of an earlier setting is found again when it returns.


# What is trained; how far is in `schedule`.
TRAINING = {
    "store": in_data("train.store"),
    "index": in_data("train.parquet"),
    "key": key_of("train"),
    "classifier": classifier_of_training,
    "init": initial_checkpoint,
}

# What is only looked at while it trains. It is there when the classifier has been checked, and no input: as other files,
# inputs would train again.
WATCHED = {
    "store": in_data("validation.store"),
    "index": in_data("validation.parquet"),
    "classifier": classifier_file,
}


rule train:
    input:
        unpack(
            gated(
                "{root}/training/{end}_history.csv",
                {**TRAINING, "schedule": key_of("schedule_{end}")},
                gates=[previous_segment, in_data("checks.json"), in_judge("check.json")],
            )
        ),
    output:
        # `update`: Snakemake deletes other outputs before a stage starts, and a gate that is missing after a kill, or after
        # a failure, would be none: all that is published and scored would be done again.
        marker=update("{root}/training/{end}.json"),
        history="{root}/training/{end}_history.csv",
    log:
        "{root}/logs/train_{end}.log",
    benchmark:
        "{root}/logs/train_{end}.tsv"
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=2880,
    params:
        classifier=lambda wc, input: ["--classifier", input.classifier] if input.classifier else [],
        init=lambda wc, input: ["--init", input.init] if input.init else [],
        watched=lambda wc, input: [f"--validation-{name}={function(wc)}" for name, function in WATCHED.items()],
        states=lambda wc, input: f"{wc.root}/training/state",
        runtime=training_options,
        options=computing,
    shell:
        "quac train --key {input.key:q} --schedule {input.schedule:q} --store {input.store:q} --index {input.index:q}"
        " {params.classifier:q} {params.init:q} {params.watched:q}"
        " --states {params.states:q} --marker {output.marker:q} --history {output.history:q}"
        " --runtime {params.runtime:q} {params.options} --log-file {log:q}"


# Runs again when what is trained changes, not when only the training gets longer.
rule publish_checkpoint:
    input:
        unpack(gated("{root}/checkpoints/{step}_nets_ema.ckpt", TRAINING, gates=[segment_of])),
    output:
        "{root}/checkpoints/{step}_nets_ema.ckpt",
    log:
        "{root}/logs/publish_{step}.log",
    shell:
        "quac publish --marker {input.gates:q} --step {wildcards.step} --out {output:q} --log-file {log:q}"
