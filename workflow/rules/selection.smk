rule score_checkpoint:
    input:
        unpack(scoring("{root}/selection/{step}.parquet")),
    output:
        "{root}/selection/{step}.parquet",
    log:
        "{root}/logs/score_{step}.log",
    benchmark:
        "{root}/logs/score_{step}.tsv"
    wildcard_constraints:
        root=roots_where(whole=True),
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


use rule score_checkpoint as score_shard with:
    input:
        unpack(scoring("{root}/selection/{step}_{shard}.parquet")),
    output:
        "{root}/selection/{step}_{shard}.parquet",
    log:
        "{root}/logs/score_{step}_{shard}.log",
    benchmark:
        "{root}/logs/score_{step}_{shard}.tsv"
    wildcard_constraints:
        root=roots_where(whole=False),
    params:
        options=computing_shard,


rule gather_scores:
    input:
        tables=every_shard("{root}/selection/{step}_{shard}.parquet"),
    output:
        "{root}/selection/{step}.parquet",
    log:
        "{root}/logs/gather_{step}.log",
    wildcard_constraints:
        root=roots_where(whole=False),
    params:
        tables=repeated("--part", "tables"),
    shell:
        "quac gather {params.tables:q} --out {output:q} --log-file {log:q}"


rule select_checkpoint:
    input:
        scores=every_step("{root}/selection/{step}.parquet"),
        index=in_data("validation.parquet"),
        key=key_of("select"),
        markers=every_marker,  # what is trained further has other checkpoints to choose from
    output:
        selected=report(
            "{root}/selection/selected.json",
            caption="../report/selection.rst",
            category="Selection",
            labels={"run": "{root}", "of": "the chosen checkpoint"},
        ),
        scores=report(
            "{root}/selection/scores.csv",
            caption="../report/selection.rst",
            category="Selection",
            labels={"run": "{root}", "of": "all checkpoints"},
        ),
    log:
        "{root}/logs/select_checkpoint.log",
    params:
        scores=repeated("--scores", "scores"),
    shell:
        "quac select-checkpoint --key {input.key:q} {params.scores:q} --index {input.index:q}"
        " --out {output.selected:q} --table {output.scores:q} --log-file {log:q}"
