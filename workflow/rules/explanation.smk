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
