rule score_checkpoint:
    input:
        unpack(
            gated(
                "{root}/selection/{step}.parquet",
                {
                    "checkpoint": in_run("checkpoints/{step}_nets_ema.ckpt"),
                    "classifier": classifier_file,
                    "store": in_data("validation.store"),
                    "index": in_data("validation.parquet"),
                    "reference_store": references(".store"),
                    "reference_index": references(".parquet"),
                    "key": key_of("score"),
                },
                gates=[in_run("classifier/check.json")],
            )
        ),
    output:
        "{root}/selection/{step}.parquet",
    log:
        "{root}/logs/score_{step}.log",
    benchmark:
        "{root}/logs/score_{step}.tsv"
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        options=computing,
    shell:
        "quac convert-split --key {input.key:q} --checkpoint {input.checkpoint:q} --classifier {input.classifier:q}"
        " --store {input.store:q} --index {input.index:q}"
        " --reference-store {input.reference_store:q} --reference-index {input.reference_index:q}"
        " --kind latent --kind reference --out {output:q} {params.options} --log-file {log:q}"


rule select_checkpoint:
    input:
        scores=every_step("{root}/selection/{step}.parquet"),
        index=in_data("validation.parquet"),
        key=key_of("select"),
        markers=every_marker,  # what is trained further has other checkpoints to choose from
    output:
        selected="{root}/selection/selected.json",
        scores="{root}/selection/scores.csv",
    log:
        "{root}/logs/select_checkpoint.log",
    params:
        scores=repeated("--scores", "scores"),
    shell:
        "quac select-checkpoint --key {input.key:q} {params.scores:q} --index {input.index:q}"
        " --out {output.selected:q} --table {output.scores:q} --log-file {log:q}"
