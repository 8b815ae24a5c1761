rule explain:
    input:
        table=in_run("conversion/{split}/{kind}.parquet"),
        # As every_image_folder.
        generated=lambda wc: ancient(in_run("generated_images/{split}/{kind}")(wc)),
        controls=in_run("evaluation/{split}/controls.json"),
        classifier=classifier_file,
        oracles=oracles,
        store=in_data("{split}.store"),
        index=in_data("{split}.parquet"),
        key=key_of("explain_{split}"),
    output:
        table="{root}/explanations/{split}/{kind}.parquet",
        attributions=directory("{root}/attributions/{split}/{kind}"),
        masks=directory("{root}/masks/{split}/{kind}"),
        counterfactuals=directory("{root}/counterfactuals/{split}/{kind}"),
    log:
        "{root}/logs/explain_{split}_{kind}.log",
    benchmark:
        "{root}/logs/explain_{split}_{kind}.tsv"
    threads: network_threads
    resources:
        gpu=1,
        mem_mb=8000,
    params:
        oracles=option_per_file("--oracle", "oracles"),
        options=device_options,
    shell:
        "quac explain --key {input.key:q} --table {input.table:q} --controls {input.controls:q} --generated {input.generated:q}"
        " --classifier {input.classifier:q} {params.oracles:q} --store {input.store:q} --index {input.index:q}"
        " --out {output.table:q} --attributions {output.attributions:q} --masks {output.masks:q}"
        " --counterfactuals {output.counterfactuals:q} {params.options} --log-file {log:q}"


rule features:
    input:
        tables=every_kind("{root}/explanations/{split}/{kind}.parquet"),
        # As every_image_folder.
        generated=lambda wc: list(map(ancient, every_kind("{root}/generated_images/{split}/{kind}")(wc))),
        counterfactuals=lambda wc: list(map(ancient, every_kind("{root}/counterfactuals/{split}/{kind}")(wc))),
        store=in_data("{split}.store"),
        index=in_data("{split}.parquet"),
        key=key_of("features_{split}"),
    output:
        table="{root}/features/{split}.parquet",
        csv="{root}/features/{split}.csv",  # for users
    log:
        "{root}/logs/features_{split}.log",
    benchmark:
        "{root}/logs/features_{split}.tsv"
    threads: decoding_threads
    params:
        tables=option_per_file("--table", "tables"),
        workers=workers,
    shell:
        "quac features --key {input.key:q} {params.tables:q} --store {input.store:q} --index {input.index:q}"
        " --out {output.table:q} --csv {output.csv:q} --workers {params.workers} --log-file {log:q}"
