"""What is measured of a try beyond what the judge says of it."""

import torch

from quac.data.batches import to_square


class Details:
    """Distances, diversity, the judge's outputs, and what further judges say.

    Columns: `ssim` (structural similarity to the query, 1: equal; Wang et al. 2004), `cycle` (mean absolute difference
    to the query, in the networks' range, after conversion back with the query's own style), `diversity` (mean absolute
    difference to the other tries of the query and target; NaN where there is one try), `logit_<class>`, and for each
    further judge `predicted_by_<name>` and `p_target_by_<name>`.
    """

    def __init__(self, style_encoder, judges, classes, settings):
        """
        Args:
            style_encoder: of the networks.
            judges: {name: Judge}.
            settings: `data` (scale, shift), `model` (img_size).
        """
        from torchmetrics.functional.image import structural_similarity_index_measure  # takes seconds

        self.style_encoder = style_encoder
        self.judges, self.classes = judges, classes
        self.similarity, self.range = structural_similarity_index_measure, abs(settings.data.scale)
        self.img_size = settings.model.img_size

    def own_style(self, x, label):
        """Styles (B, style_dim) of queries of one class."""
        y = torch.full((len(x),), label, device=x.device)
        return self.style_encoder(to_square(x, self.img_size), y)

    def of(self, generator, image, x, own_style, logits, target):
        """{column: (B,)} of a try, but for `diversity`. Converted back is by the same generator, and its masks."""
        back = generator.render(generator.features(image), own_style)
        measured = {
            "ssim": self.similarity(image, x, data_range=self.range, reduction="none"),
            "cycle": (back - x).abs().mean((1, 2, 3)),
            "diversity": None,
        }
        measured |= {f"logit_{name}": logits[:, i] for i, name in enumerate(self.classes)}
        for name, judge in self.judges.items():
            p = judge(image)
            measured[f"predicted_by_{name}"] = p.argmax(1)
            measured[f"p_target_by_{name}"] = p[:, target]
        return measured

    def apart(self, images):
        """[(B,)] for each try: its mean difference to the others."""
        if len(images) == 1:
            return [torch.full((len(images[0]),), float("nan"), device=images[0].device)]
        tries = torch.stack(images)
        return [(tries - image).abs().mean((2, 3, 4)).sum(0) / (len(images) - 1) for image in images]
