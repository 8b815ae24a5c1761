# States and checkpoints lie in {root}/training/state, which no rule declares: Snakemake never deletes them, and the work
# of an earlier setting is found again when it returns.


# What is trained; how far is in `save_plan`.
TRAINING = {
    "store": in_data("train.store"),
    "index": in_data("train.parquet"),
    "key": key_of("train"),
    "classifier": classifier_of_training,
    "init": user_file("init.checkpoint"),
}

# Used only for monitoring: by the evaluation on the validation split. They exist once the classifier has been checked, and
# are not inputs: with another classifier file, Snakemake would see another set of inputs, and train again.
WATCHED = {
    "validation-store": in_data("validation.store"),
    "validation-index": in_data("validation.parquet"),
    "validation-classifier": classifier_file,
}


rule train:
    input:
        unpack(
            order_only(
                "{root}/training/history.csv",
                {**TRAINING, "save_plan": key_of("save_plan")},
                gates=[in_data("checks.json"), in_judge("check.json")],
            )
        ),
    output:
        # `update`: Snakemake deletes other outputs before a stage starts. If the training then fails, the missing gate
        # would make everything that is published and scored run again. With `update`, Snakemake restores the old file
        # after a failure, so the file records its inputs; see `compare_keys` in gates.smk.
        trained=update("{root}/training/trained.json"),
        history="{root}/training/history.csv",
        samples=directory("{root}/training/samples"),
    log:
        "{root}/logs/train.log",
    benchmark:
        "{root}/logs/train.tsv"
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=16000,
    params:
        classifier=lambda wc, input: ["--classifier", input.classifier] if input.classifier else [],
        init=lambda wc, input: ["--init", input.init] if input.init else [],
        watched=lambda wc, input: [f"--{name}={function(wc)}" for name, function in WATCHED.items()],
        states=lambda wc, input: f"{wc.root}/training/state",
        config=config_file,
        how=training_options,
        options=device_options,
    shell:
        "quac train --key {input.key:q} --save-plan {input.save_plan:q} --store {input.store:q} --index {input.index:q}"
        " {params.classifier:q} {params.init:q} {params.watched:q} --config {params.config:q} --states {params.states:q}"
        " --out {output.trained:q} --history {output.history:q} --samples {output.samples:q}"
        " --options {params.how:q} {params.options} --log-file {log:q}"


# Runs again when what is trained changes, not when only the training gets longer.
rule publish_checkpoint:
    input:
        lambda wc: force_if_different(f"{wc.root}/checkpoints/{wc.step}_nets_ema.ckpt"),
        unpack(order_only("{root}/checkpoints/{step}_nets_ema.ckpt", TRAINING, gates=[marker_of_step])),
    output:
        "{root}/checkpoints/{step}_nets_ema.ckpt",
    log:
        "{root}/logs/publish_{step}.log",
    params:
        classifier=lambda wc, input: ["--classifier", input.classifier] if input.classifier else [],
    shell:
        "quac publish --trained {input.gates:q} --key {input.key:q} --index {input.index:q} {params.classifier:q}"
        " --step {wildcards.step} --out {output:q} --log-file {log:q}"
