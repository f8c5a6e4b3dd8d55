# ruff: noqa: E501  (answers are quoted as they are)
"""Answers as models write them, grouped by the rule of `limen.parsing.yes_no` that each of them exercises.

A row is an answer and what it must be read as: "yes", "no" or "unreadable", and the fault if there is one; a
third item says why the answer ended.
"""

import time
from collections.abc import Callable
from itertools import cycle, islice

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from limen import question
from limen.parsing import phrases, yes_no
from limen.parsing.yes_no import Fault, Flag, Verdict, read_choice, read_direct

Row = tuple[str, str] | tuple[str, str, str]

SHARP = "The second image is noticeably blurrier than the first, especially around the edges."
TWINS = "Both images appear identical in sharpness, and I cannot see any difference between them."

DIRECT: dict[str, list[Row]] = {
    "flag first, then analysis": [
        (f"Yes, {SHARP}", "yes"),
        (f"No, {TWINS}", "no"),
        (f"<yes> {SHARP}", "yes"),
        (f"<no> {TWINS}", "no"),
        (f"<yes>\n\n{SHARP}", "yes"),
        (f"**Yes**. {SHARP}", "yes"),
        (f"**No.** {TWINS}", "no"),
        (f"**<no>**\n\n**Analysis:** {TWINS}", "no"),
        (f"`yes`\n{SHARP}", "yes"),
        (f"YES - {SHARP}", "yes"),
        (f"No - {TWINS}", "no"),
        (f"no. {TWINS}", "no"),
        (f"yes: {SHARP}", "yes"),
        (f'"No" {TWINS}', "no"),
        (f"[yes] {SHARP}", "yes"),
        (f"### Yes\n\n{SHARP}", "yes"),
        (f"<yes>{SHARP}</yes>", "yes"),
        (f"<no>{TWINS}</no>", "no"),
        (f"Yes {SHARP}", "yes"),
        (f"No there is not. {TWINS}", "no"),
        (f"No because {TWINS}", "no"),
        (f"Yes — {SHARP}", "yes"),
        (f"No; {TWINS}", "no"),
        (f"- No\n- {TWINS}", "no"),
        (f"1. Yes\n2. {SHARP}", "yes"),
        (f"Yes! {SHARP}", "yes"),
        (f"Yes, would you like me to describe it? {SHARP}", "yes"),
        (f"<|yes|> {SHARP}", "yes"),
        (f"<YES>. {SHARP}", "yes"),
        ("Yes, there is a noticeable difference in blur between these two images.", "yes"),
        ('No, there is no noticeable difference in "blur" between these two images.', "no"),
        ("No, I don't notice a difference in noise between the two images you sent.", "no"),
        ("Yes, a QR code watermark can be seen in the lower right part of the second picture.", "yes"),
        ("No, both pictures show a brown dog which lies on a red sofa and looks up.", "no"),
        (
            "<yes>\n\nThe second image appears to have a slight reduction in sharpness compared to the first. Fine details, such as the texture of the fur and the whiskers, are less defined, suggesting the presence of blur.",
            "yes",
        ),
        (
            "<no>\n\nUpon close inspection, both images appear to have the same level of brightness, and there are no discernible variations in exposure or luminance.",
            "no",
        ),
        (
            'No, there is no noticeable difference in "noise" between these two images. Both images maintain a similar level of clarity and detail, with no visible grain or artifacts.',
            "no",
        ),
        (
            "<yes> \nAnalysis: The color saturation in the second image is higher. The blues of the sky and greens of the grass are more vivid.",
            "yes",
        ),
        (
            'Yes, there is a noticeable difference in "mask" between these two images. In the second image, a small black rectangle is present near the upper-left corner, which isn\'t present in the first image.',
            "yes",
        ),
        (
            "<no> with analysis: The images appear identical in terms of contrast. No discernible difference in highlights and shadows.",
            "no",
        ),
        (
            "<yes> There is a noticeable difference in the perspectives. The first image is taken from a slightly higher angle, while the second image shows the table from a lower viewpoint.",
            "yes",
        ),
        (
            "Yes, there is a noticeable difference in blur.\n\n*   **Image 1:** The image is sharp, with crisp edges.\n*   **Image 2:** The image is noticeably blurry. Details are lost in the fur.\n",
            "yes",
        ),
        (
            "No.\n\n**Analysis:**\nBoth images are extremely similar. I've looked at the sky gradients, where banding would be most apparent, and I don't see any new banding artifacts in the second image.",
            "no",
        ),
        (
            '<no>\n\n**Analysis:**\n\nUpon careful examination of both images, there are no perceptible differences in "text watermark." Neither image contains any visible text watermark.',
            "no",
        ),
        (
            "<yes>\n\nWhile subtle, there's a difference in the noise. The second picture exhibits a bit more grain in the smooth area of the sky.",
            "yes",
        ),
        ("<no>. Although the second image might be a hair darker, the difference isn't noticeable.", "no"),
        (
            'No, there is no noticeable difference in "blur" between these two images. The images appear to be identical.',
            "no",
        ),
        (
            'Yes, there is a noticeable difference in "brightness" between these two images. The first image appears to be darker, while the second image is brighter.',
            "yes",
        ),
        ("<no> The two images are identical, with no noticeable difference in contrast.", "no"),
        (
            '<yes>There is a noticeable difference in "QR code watermark" between these two images. The first image does not have a QR code watermark, while the second image does.</yes>',
            "yes",
        ),
        (
            "<no>\n\nThe two images are the same, depicting a close-up of an owl with bright orange eyes. There are no differences in blur, focus, or any other visual aspect.",
            "no",
        ),
        (
            'Yes, there is a noticeable difference in "JPEG compression" between the two images. The first image has a higher quality and clearer details, whereas the second image has visible compression artifacts.',
            "yes",
        ),
        (
            "<yes>\n\nAnalysis: Both images depict the same scene. The images are very similar, but the second image appears to have slightly lower brightness.",
            "yes",
        ),
        (
            "<no>\n\nBoth images show a cup of tea on a table. The lighting, the color of the liquid, and the background are all consistent. The images are the same.",
            "no",
        ),
        (
            "Yes, there is a noticeable difference in blur between the two images. One image is clearer and more focused, while the other image is blurry.",
            "yes",
        ),
        (" Yes, there is a noticeable difference in the blur between the two images.", "yes"),
        (
            '<no>, there is no noticeable difference in "color saturation" between the two images. Both images have a similar color tone and saturation level.',
            "no",
        ),
        (
            'Yes, there is a noticeable difference in "noise". The first image is clear and well-defined, whereas the second image appears grainy.',
            "yes",
        ),
        ("<yes> \n- Image 1: Clear\n- Image 2: No visible mask\nOnly the first image has a mask.", "yes"),
        ("Yes, the difference is noticeable. In Image B the edges of the letters are smeared.", "yes"),
        ("Yes, absolutely. Compare the bricks: in the second image they're mushy.", "yes"),
        (
            "<no>\n\nWhile the second image may appear slightly softer, the change is negligible and would not be noticeable to most viewers.",
            "no",
        ),
        ("Yes. The first image has no blur, whereas in the second image there's no detail left.", "yes"),
        ("<yes>. There's no mask in the first image, but there is a black rectangle in the second.", "yes"),
        (
            "<yes>. In the first image, there is no watermark. In the second image a faint text watermark is visible.",
            "yes",
        ),
        ("<No> - The two images are indistinguishable with regard to banding artifacts.", "no"),
        ("yes, no visible difference in the scene itself, but the second frame is noisier", "yes"),
        ("<yes> The images are different.", "yes"),
        ("<no> The images are not different.", "no"),
        ("Yes, I can confirm there is. The right image is over-compressed: 8x8 blocks show in the sky.", "yes"),
        ("**Flag:** <yes>\n**Analysis:** The camera has moved to the left in the second image.", "yes"),
        ("Flag: no\nReason: identical pixels as far as I can tell.", "no"),
        ("Yes, there is a difference in the second image's blur, although it's not very noticeable.", "yes"),
        (
            "<yes>\nThere isn't any difference in composition, subject or lighting; the difference lies in the sharpness.",
            "yes",
        ),
        ("No. Neither blur nor softness is visible.", "no"),
        ("Yes!!! 😊 The second is super grainy", "yes"),
        ("**Yes** \\- the saturation is increased", "yes"),
        ("Yes/No: Yes. The second image is brighter.", "yes"),
        ("Yes or no? Yes. The second image is brighter.", "yes"),
        ("Response: <yes> with analysis: the blur is evident in the second image.", "yes"),
        ("<flag>no</flag><analysis>same</analysis>", "no"),
        ("Yes\n\nNo other changes are visible besides the blur in picture two.", "yes"),
        (
            "<yes>\n\nAnalysis: Upon comparing the two images, the second one (Image 2) exhibits visible blockiness around the petals and a loss of fine texture, consistent with heavier JPEG compression.",
            "yes",
        ),
        (
            "<no>\n\nAnalysis: Upon comparing the two images side by side, I am unable to discern any noticeable difference in contrast. The tonal range appears consistent in both.",
            "no",
        ),
        ("yes the image on the right is blurred", "yes"),
        ("no both images are clear", "no"),
        (
            "Yes, the two images are noticeably different in terms of color saturation. The first image has more natural colors while the second is oversaturated.",
            "yes",
        ),
        ("No, the two images do not have a noticeable difference in terms of blur.", "no"),
        ("No. I apologize, but I can't see any differences between the two pictures.", "no"),
        ("<yes> - Image 2 has been darkened.", "yes"),
        (
            "<yes>\n1. Sharpness: Image 1 is sharp; Image 2 is soft.\n2. Color: no difference.\n3. Noise: no difference.",
            "yes",
        ),
        ("<no>\n1. Sharpness: same.\n2. Color: same.\n3. Noise: same.", "no"),
        ("Yes, I notice that the second image is of lower quality than the first.", "yes"),
        ("<yes> Das zweite Bild ist deutlich unschärfer als das erste.", "yes"),
    ],
    "flag inside a sentence": [
        (f"The answer is <no> because {TWINS}", "no"),
        (f"My answer is <yes>. {SHARP}", "yes"),
        (f"I would say yes, {SHARP}", "yes"),
        (f"I'd say no. {TWINS}", "no"),
        (f"Answer: Yes\nAnalysis: {SHARP}", "yes"),
        (f"Final answer: no. {TWINS}", "no"),
        (f"**Answer:** <no>\n\n**Analysis:** {TWINS}", "no"),
        (f"The answer to this question is yes. {SHARP}", "yes"),
        (f"In my opinion, no, {TWINS}", "no"),
        (f"After looking closely at both images, yes, {SHARP}", "yes"),
        (f"Noticeable difference: Yes. {SHARP}", "yes"),
        (f"Noticeable difference: No. {TWINS}", "no"),
        (f"I return <no> since {TWINS}", "no"),
        (f"Based on the comparison I return **yes**. {SHARP}", "yes"),
        ("There is <no> noticeable difference in blur between these two images.", "no"),
        ("The answer is: **no**. Both pictures are of equal brightness; nothing changed.", "no"),
        ("Definitely yes. The watermark reading LIMEN appears in only one image.", "yes"),
        ("I would rate the difference as noticeable: yes, the horizon shows rings of color.", "yes"),
        ("Based on my analysis of the images: <no>. Both share the same degree of sharpness and the same noise.", "no"),
        ("I believe the answer should be yes, because the roof tiles in the second look smeared.", "yes"),
        ("If I compare them closely, no. Both are the same.", "no"),
        ("Sí. La segunda imagen está más borrosa que la primera.", "yes"),
        (
            "The answer to the question is:\n\n<no>\n\nThe images were found to be the same, without any difference.",
            "no",
        ),
        ("Is there a difference? Yes! The second has banding in the sky.", "yes"),
    ],
    "flag last": [
        (f"{SHARP} Therefore, yes.", "yes"),
        (f"{TWINS} Therefore, the answer is <no>.", "no"),
        (f"{TWINS}\n\n<no>", "no"),
        (f"{SHARP}\n\nAnswer: <yes>", "yes"),
        (f"{SHARP} So the answer is yes.", "yes"),
        (f"Let me compare the two images. {TWINS} So, no.", "no"),
        (f"Step 1: the edges. {SHARP}\n\n**Final Answer:** <yes>", "yes"),
        (f"{TWINS} In conclusion, no, there is no noticeable difference.", "no"),
        (f"{SHARP} $\\boxed{{\\text{{yes}}}}$", "yes"),
        (f"{TWINS}\n\\boxed{{no}}", "no"),
        (
            "The two images appear to be identical, and there is no noticeable difference in terms of JPEG compression. <no>",
            "no",
        ),
        (
            "Here's an analysis of the two images:\n\n* **Image 1:** bright, vivid.\n* **Image 2:** looks the same as Image 1.\n\n**Conclusion:** <no>",
            "no",
        ),
        (
            "Okay, let's analyze.\n\nThe first image shows a lighthouse. The second image shows the same lighthouse. There's a slight shift in color saturation: the reds in image 2 are more intense.\n\nTherefore, the answer is **<yes>**.",
            "yes",
        ),
        (
            'To determine if there is a noticeable difference in "color saturation", we need to compare the colors. The first image has vivid colors. The second image has vivid colors as well. The saturation appears consistent across both images. <no>',
            "no",
        ),
        ("两张图片在“模糊”方面没有明显的差异。<no>", "no"),
        ("The first image does not have a mask and the second image doesn't have one either. <no>", "no"),
        ("Sure! Here is my analysis: the second image has visible blocking artifacts. <yes>", "yes"),
        ("The images are almost the same. There's only a very slight difference in brightness. <yes>", "yes"),
        (
            'After carefully comparing the two images, I can conclude that there is no noticeable difference in "noise" between them. Both images exhibit the same level of detail. Therefore, my answer is <no>.',
            "no",
        ),
        (
            "Looking at both images, the second image has a dark, square-shaped patch placed over the trunk of the tree. \n\n<yes>",
            "yes",
        ),
        ("1. Sharpness: same.\n2. Color: same.\n3. Noise: Image 2 is grainier.\n\nResult: <yes>", "yes"),
        (
            "**Analysis**: The two pictures were compared with respect to noise. No noticeable noise was introduced in either.\n**Return**: <no>",
            "no",
        ),
        ("Les deux images ne présentent aucune différence notable. <no>", "no"),
        ("两幅图像在噪声方面看起来是一样的，没有明显差异。因此，答案是<no>。", "no"),
        ("经过仔细对比，第二张图像存在轻微的模糊，因此答案是：<yes>", "yes"),
    ],
    "the flag is wrapped": [
        ("<answer>yes</answer>", "yes deficiency"),
        (f"<answer>no</answer><analysis>{TWINS}</analysis>", "no"),
        (f"<analysis>{SHARP}</analysis>\n<answer>yes</answer>", "yes"),
        (f'{{"answer": "yes", "analysis": "{SHARP}"}}', "yes"),
        (f'```json\n{{"answer": "no", "analysis": "{TWINS}"}}\n```', "no"),
        (f'{{"noticeable_difference": true, "analysis": "{SHARP}"}}', "yes"),
        (f'{{"noticeable_difference": false, "analysis": "{TWINS}"}}', "no"),
        (f"{{'flag': 'no', 'analysis': 'x'}} {TWINS}", "no"),
        (f"<p><b>Yes</b>, {SHARP}</p>", "yes"),
        (f"<div>No.<br/>{TWINS}</div>", "no"),
        (f"| flag | analysis |\n|---|---|\n| yes | {SHARP} |", "yes"),
        (f"\\textbf{{No}}. {TWINS}", "no"),
        (f"\\[\\boxed{{\\mathrm{{yes}}}}\\] {SHARP}", "yes"),
        (f"✅ Yes, {SHARP}", "yes"),
        (f"❌ No, {TWINS}", "no"),
        ("✅", "yes deficiency"),
        ("❌", "no deficiency"),
        (f"Ｙｅｓ， {SHARP}", "yes"),
        (f"\u200bY\u0000es\u200d, {SHARP}", "yes"),
        (f"{SHARP}<yes><|im_end|>", "yes"),
    ],
    "a flag without analysis": [
        ("Yes", "yes deficiency"),
        ("No", "no deficiency"),
        ("yes.", "yes deficiency"),
        ("NO!", "no deficiency"),
        ("<yes>", "yes deficiency"),
        ("<no>", "no deficiency"),
        ("**Yes**", "yes deficiency"),
        ("`no`", "no deficiency"),
        ("'yes'", "yes deficiency"),
        ("</yes>", "yes deficiency"),
        ("\n\n  Yes  \n", "yes deficiency"),
        ("Answer: Yes", "yes deficiency"),
        ("The answer is no.", "no deficiency"),
        ("Final answer: <no>", "no deficiency"),
        ("\\boxed{yes}", "yes deficiency"),
        ('{"answer": "no"}', "no deficiency"),
        ("Yes, there is.", "yes deficiency"),
        ("No, there isn't.", "no deficiency"),
        ("Yes Yes Yes Yes Yes Yes Yes Yes Yes Yes", "yes deficiency"),
        ("<yes>", "yes deficiency", "length"),
        ("Nope.", "no deficiency"),
        ("Yeah.", "yes deficiency"),
        ("True", "yes deficiency"),
        (" No.", "no deficiency"),
        (" <yes>", "yes deficiency"),
        ("$\\text{yes}$", "yes deficiency"),
        ("The final answer is $\\boxed{no}$.", "no deficiency"),
        ("No no no no no", "no deficiency"),
    ],
    "a clear analysis without a flag": [
        ("I notice a difference.", "yes deficiency"),
        ("I notice a difference", "yes deficiency"),
        ("I notice no difference.", "no deficiency"),
        ("I don't notice any difference", "no deficiency"),
        ("I do not see a noticeable difference in blur between these two images.", "no deficiency"),
        ("I can't see any differences.", "no deficiency"),
        ("The images appear identical.", "no deficiency"),
        ("The two images appear to be the same.", "no deficiency"),
        ("There are no visible differences", "no deficiency"),
        ("No noticeable difference.", "no deficiency"),
        ("No visible difference in noise between the two images.", "no deficiency"),
        ("No significant differences were found", "no deficiency"),
        ("There is **no** noticeable difference in blur.", "no deficiency"),
        ("There is **no noticeable difference** in blur.", "no deficiency"),
        ("There isn't a noticeable difference in contrast between the two images.", "no deficiency"),
        ("Neither image shows any difference in color saturation.", "no deficiency"),
        ("The images are indistinguishable.", "no deficiency"),
        ("The blur is the same in both images.", "no deficiency"),
        ("The difference is too subtle to notice.", "no deficiency"),
        ("The difference in brightness between the images is not noticeable.", "no deficiency"),
        ("There is a difference, but it is the mean of 1 grey level that is not noticeable.", "yes deficiency"),
        ("The second image is more blurred than the first.", "yes deficiency"),
        ("The second image appears slightly brighter.", "yes deficiency"),
        ("The first image is sharper, while the second is softer.", "yes deficiency"),
        ("The first image is sharp, while the second image is blurry.", "yes deficiency"),
        ("There is a mask in the second image.", "yes deficiency"),
        ("The second image contains a black rectangle near the left edge.", "yes deficiency"),
        ("A QR code has been added to the second image.", "yes deficiency"),
        ("There is a noticeable difference in the perspectives of these two images.", "yes deficiency"),
        ("The images are taken from different angles.", "yes deficiency"),
        ("The two images differ in contrast.", "yes deficiency"),
        ("The second image has less contrast.", "yes deficiency"),
        ("The second image shows more noise than the first one.", "yes deficiency"),
        ("The two images are not identical.", "yes deficiency"),
        ("The images are not exactly the same.", "yes deficiency"),
        ("The images are identical except for a slight blur in the second.", "yes deficiency"),
        ("There is no doubt that there is a difference in blur.", "yes deficiency"),
        ("The second image is not only darker but also blurrier.", "yes deficiency"),
        ("Without a doubt, the images are noticeably different.", "yes deficiency"),
        ("The two images are identical. There is no noticeable difference in blur between them.", "no deficiency"),
        (
            'There is no noticeable difference in "mask" between these two images. Both images appear to be identical.',
            "no deficiency",
        ),
        ('There is a noticeable difference in "contrast" between these two images.', "yes deficiency"),
        (
            "Both images are of the same subject, a dog. The first one has a sharper focus, while the second one is a bit more blurred.",
            "yes deficiency",
        ),
        (" The images are the same.", "no deficiency"),
        (" There are no differences between the two images.", "no deficiency"),
        (
            'There does not appear to be any noticeable difference in "brightness" between the two images.',
            "no deficiency",
        ),
        (
            "I cannot detect a noticeable difference between these images. They seem to be the same photograph.",
            "no deficiency",
        ),
        ("I do see a difference! The second one is way darker.", "yes deficiency"),
        ("I don't think there is a noticeable difference.", "no deficiency"),
        ("I don't believe so. The two pictures look the same to me.", "no deficiency"),
        ("Not really. The images are practically identical.", "no deficiency"),
        ("It is hard to say, but I think there is a small difference in noise.", "yes deficiency"),
        ("Absolutely! The second image is much blurrier.", "yes deficiency"),
        ("Definitely not. Both images are exactly the same.", "no deficiency"),
        ("There is little to no difference between the two images.", "no deficiency"),
        ("There is almost no difference between the images.", "no deficiency"),
        ("The two images are basically the same.", "no deficiency"),
        ("There isn't much of a difference.", "no deficiency"),
        ("Nothing has changed between the two images.", "no deficiency"),
        ("The images look exactly alike to me.", "no deficiency"),
        ("I can confirm that both images match exactly.", "no deficiency"),
        ("No difference.", "no deficiency"),
        ("no diff", "no deficiency"),
        ("Same.", "no deficiency"),
        ("Identical", "no deficiency"),
        ("Different", "yes deficiency"),
        ("They're the same image.", "no deficiency"),
        ("They are not the same image: the second has been blurred.", "yes deficiency"),
        ("The second image seems to have a lower contrast than the first image.", "yes deficiency"),
        ("Compared to the first, the second image is darker overall.", "yes deficiency"),
        ("Image 2 looks washed out compared with Image 1.", "yes deficiency"),
        ("NO NOTICEABLE DIFFERENCE", "no deficiency"),
        ("我看不出两张图片之间有任何区别。", "no deficiency"),
        ("存在明显的差异，第二张图像更模糊。", "yes deficiency"),
        ("Imperceptible differences only.", "no deficiency"),
        ("The second image is not sharper.", "no deficiency"),
        ("No mask is present in either image.", "no deficiency"),
        ("Both images are equally sharp.", "no deficiency"),
        ("Images A and B look identical.", "no deficiency"),
        ("There is quite an appreciable difference in blur", "yes deficiency"),
        ("I can see the difference.", "yes deficiency"),
        ("The main difference lies in the sky.", "yes deficiency"),
        ("The two pictures differ.", "yes deficiency"),
        ("The colors have changed.", "yes deficiency"),
        ("Different viewpoints were used.", "yes deficiency"),
        ("Image 2 came out darker than image 1.", "yes deficiency"),
        ("The second is a blurred version of the first.", "yes deficiency"),
        (
            "There are subtle differences in the brightness of the two images. The second is a tad lighter.",
            "yes deficiency",
        ),
        ("I'm not able to identify any noticeable difference in saturation between the two images.", "no deficiency"),
        ("Both images seem identical to me, I can't spot any differences.", "no deficiency"),
        ("It appears that the two images are exactly the same photo.", "no deficiency"),
        (
            "The images exhibit a noticeable difference in \"text watermark\". In the second one, text reading 'LIMEN' is overlaid.",
            "yes deficiency",
        ),
        (
            "The second image contains a QR code in the lower left corner whereas the first image doesn't.",
            "yes deficiency",
        ),
        ("To me, these look like the same picture twice.", "no deficiency"),
        ("The pictures look similar, but not identical: one is a bit hazier.", "yes deficiency"),
        ("是", "yes deficiency"),
        ("否。", "no deficiency"),
        ("No. 1 and No. 2 look identical.", "no deficiency"),
    ],
    "a mixed analysis is read by its conclusion": [
        ("There is no difference in color. However, the second image is blurrier.", "yes deficiency"),
        ("The second image is slightly brighter, but there is no noticeable difference in blur.", "no deficiency"),
        ("One could see a difference in grain. Overall, there is no noticeable difference.", "no deficiency"),
        ("There is no change at the left. There is a change at the right.", "unreadable"),
    ],
    "analysis contradicts the flag": [
        ("Yes, there is no noticeable difference.", "yes antilogy"),
        ("Yes, there is no noticeable difference in blur between these two images.", "yes antilogy"),
        ("Yes, the images are identical.", "yes antilogy"),
        ("<yes> The two images look the same.", "yes antilogy"),
        ("Yes. I cannot see any difference between the images.", "yes antilogy"),
        ("Yes, no difference", "yes antilogy"),
        ("<yes> Both images are the same in terms of brightness.", "yes antilogy"),
        ("No, there is a clear difference in blur.", "no antilogy"),
        ("No, there is a clear difference in blur between these two images.", "no antilogy"),
        ("<no> The second image is noticeably brighter than the first.", "no antilogy"),
        ("No. The first image is sharper than the second.", "no antilogy"),
        ("No, the images are not identical.", "no antilogy"),
        (f"{SHARP} Therefore, the answer is no.", "no antilogy"),
        (f"{TWINS}\n\n<yes>", "yes antilogy"),
        ("No, a watermark has been added to the second image.", "no antilogy"),
        ('Yes, there is no noticeable difference in "noise" between these two images.', "yes antilogy"),
        ("No, there is a noticeable difference in noise between the two images.", "no antilogy"),
        ("Yes, the two images are exactly the same.", "yes antilogy"),
        ("No, but there is a slight difference in color: image 2 is warmer.", "no antilogy"),
        ("The noise level is the same in both images. The answer is yes.", "yes antilogy"),
    ],
    "a no beside what one picture has and the other lacks": [
        ("<no> The noise is visible only in the second image.", "no antilogy"),
        ("<no> The second image has clearly visible JPEG blocking that the first lacks.", "no antilogy"),
        ("<no> The second image shows visible banding in the sky that the first does not have.", "no antilogy"),
        ("<no> The second image is more blurred than the first.", "no antilogy"),
        ("<no> The second image has a watermark; the first does not.", "no antilogy"),
        ("No. The second has visible compression artifacts, the first does not.", "no antilogy"),
        ("<no> The second image contains a watermark that is absent from the first.", "no antilogy"),
        ("<no> There is visible blocking in the second image that is absent in the first.", "no antilogy"),
        ("<no> There is clearly visible blocking in the second image only.", "no antilogy"),
        ("No. Only the second image shows banding in the sky.", "no antilogy"),
        ("<no> The second picture is clearly noisy, unlike the first one.", "no antilogy"),
        ("<no> The second image has noticeable blur compared to the first.", "no antilogy"),
        ("<no> The blocking artifacts in the second image are not present in the first.", "no antilogy"),
        ("<no> The second image has JPEG blocking which the first one lacks.", "no antilogy"),
        ("<no> The second has noise, whereas the first has none.", "no antilogy"),
        ("<no> The first image is free of the blocking that is visible in the second.", "no antilogy"),
        ("<no> The first image lacks the watermark that the second one has.", "no antilogy"),
        (
            "<no> The second image suffers from strong compression artifacts that are missing in the first image.",
            "no antilogy",
        ),
        ("<no> In the second image, blocking is clearly visible, but not in the first.", "no antilogy"),
        ("<no> The second image is darker than the first one.", "no antilogy"),
        ("<no> The second image exhibits noticeable banding, while the first is smooth.", "no antilogy"),
        ("<no> The first image is clean; the second has obvious noise.", "no antilogy"),
        ("<no> Image B has a QR code that image A doesn't have.", "no antilogy"),
        ("<no> A black rectangle covers part of the second image but not the first.", "no antilogy"),
        ("<no> A watermark is visible in the second image but not in the first.", "no antilogy"),
        ("<no> Blur is present in the second image, absent in the first.", "no antilogy"),
        (
            "<no> The second image has been visibly compressed; blocks can be seen in the sky that the original does not show.",
            "no antilogy",
        ),
        ("<no> The second photo is noisier.", "no antilogy"),
        ("<no> The first has visible banding, absent from the second.", "no antilogy"),
        ("<no> The second image has noise not found in the first.", "no antilogy"),
        ("<no> The second image shows visible blocking, missing from the first.", "no antilogy"),
        ("<no> Blocking is visible in the second and absent from the first.", "no antilogy"),
        ("<no> Visible noise appears in the second image, but the first is clean.", "no antilogy"),
        ("<no> The second shows compression artifacts, while these are absent from the first.", "no antilogy"),
        ("<no> There is no visible banding, absent from the second.", "no"),
        ("<no> I see no noise in the second image, absent in the first.", "no"),
        ("<no> Both images have banding, not absent from the second.", "no"),
        ("<no> Unlike the first image, the second has visible noise.", "no antilogy"),
        ("<no> The right image has color banding, which the left image does not.", "no antilogy"),
        ("<no> The second image clearly has lower contrast.", "no antilogy"),
        ("<no> The edges in the second image are softer than those in the first.", "no antilogy"),
        ("<no> Compared with the first, the second image has strong blocking.", "no antilogy"),
        (
            "<no> The second one clearly shows compression blocking which is not present in the first one.",
            "no antilogy",
        ),
        (
            "<no> There is clearly visible banding in the second image which the first image does not have.",
            "no antilogy",
        ),
        ("No, the second image has a text watermark while the first image does not have one.", "no antilogy"),
        ("No. In the second image there is noise that cannot be seen in the first.", "no antilogy"),
        ("<no> The first image is sharp, while the second has noticeable blur.", "no antilogy"),
    ],
    "a yes beside what neither has, or both": [
        ("<yes> Both look exactly alike.", "yes antilogy"),
        ("<yes> Neither image has any visible blocking.", "yes antilogy"),
        ("<yes> There is no blocking that the first lacks.", "yes antilogy"),
        ("<yes> I cannot see any noise in either image.", "yes antilogy"),
        ("<yes> The second image looks exactly like the first.", "yes antilogy"),
        ("<yes> The pictures are indistinguishable to me.", "yes antilogy"),
        ("<yes> The second image is as sharp as the first.", "yes antilogy"),
        ("<yes> The two images look the same to me.", "yes antilogy"),
        ("<yes> The images are equally sharp and equally bright.", "yes antilogy"),
        ("<yes> There is nothing in the second image that the first lacks.", "yes antilogy"),
        ("<yes> They are a perfect match.", "yes antilogy"),
        ("<yes> The second image is no more blurred than the first.", "yes antilogy"),
        ("<yes> They look alike in every respect.", "yes antilogy"),
        ("<yes> No blocking, blur or noise is visible in either image.", "yes antilogy"),
    ],
    "what agrees with its flag, in words of artefacts": [
        ("<no> I checked for blocking in the second image that the first does not have.", "no"),
        ("<no> The noise would be visible only in the second image if any had been added.", "no"),
        ("<no> I see neither noise nor blocking in the second image that is absent from the first.", "no"),
        ("<no> Noise is visible only in the second image.", "no"),
        ("<no> The second image is visibly blurred.", "no"),
        ("<no> Image 2 shows heavy grain that Image 1 does not show.", "no"),
        ("<yes> Both have the same visible JPEG blocking.", "yes"),
        ("<yes> Both images show the same level of noise and the same sharpness.", "yes"),
        ("<no> Neither image has visible blocking.", "no"),
        ("<no> There is no blocking that the first lacks.", "no"),
        ("<no> Both have the same visible JPEG blocking.", "no"),
        ("<no> Both images have clearly visible JPEG blocking.", "no"),
        ("<no> The second image has visible blocking, and so does the first.", "no"),
        ("<no> The second image has visible blocking just like the first.", "no"),
        ("<no> The blocking visible in the second image is also visible in the first.", "no"),
        ("<no> The second image has no blocking that the first lacks.", "no"),
        ("<no> The second image does not have any blocking that the first lacks.", "no"),
        ("<no> I see no watermark in the second image that the first does not have.", "no"),
        ("<no> The second image isn't more blurred than the first.", "no"),
        ("<no> The noise is visible in both images to the same degree.", "no"),
        ("<no> There is visible noise in the first image and the same noise in the second.", "no"),
        ("<no> The second image has visible blocking that the first has too.", "no"),
        ("<no> The second image has clearly visible blocking, which is also present in the first.", "no"),
        ("<no> Visible blocking would be seen only in the second image if it had been compressed.", "no"),
        ("<no> Neither the first nor the second image has visible banding.", "no"),
        ("<no> The JPEG blocking is not visible in the second image.", "no"),
        ("<no> The first image has visible noise, and the second image has visible noise as well.", "no"),
        ("<no> The sky is darker in the corners of both images.", "no"),
        ("<no> Both images have a visible watermark in the corner.", "no"),
        ("<no> I can't find blur in one image that the other does not have.", "no"),
        ("<no> The second image does not look darker than the first.", "no"),
        ("<no> The clearly visible grain is shared by both pictures.", "no"),
        ("<no> The compression is equally visible in both.", "no"),
        ("<no> If the second image had visible blocking that the first lacks, it would be seen.", "no"),
        (
            "<no> The second image would have visible blocking that the first lacks if it were compressed, but it has none.",
            "no",
        ),
        ("<no> There is no visible blocking, blur or banding in the second image.", "no"),
        ("<no> The second image has visible film grain. The first image has visible film grain.", "no"),
        ("<no> Each image has noticeable blur in the background.", "no"),
        ("<no> Blur is visible in the background of the second image, as it is in the first.", "no"),
        ("<no> The second image shows a blurred background; the first image shows the same blurred background.", "no"),
        ("<no> The second image has a clearly visible watermark, identical to that in the first.", "no"),
        ("<no> Nothing is visible only in the second image.", "no"),
        ("<no> The watermark is visible in the first and in the second image.", "no"),
        ("<no> The photographs have visible noise, but it does not differ.", "no"),
        ("<no> The second image shows a dark street with visible fog, like the first.", "no"),
        ("<no> The images both show compression artifacts around the text.", "no"),
        ("<no> There are visible artifacts, but they appear in both images.", "no"),
        ("<no> The second image is not visibly blurred.", "no"),
        ("<no> The second image hardly has any blocking that the first lacks.", "no"),
        ("<no> I looked for blocking that only the second image has and found none.", "no"),
        ("<no> The second image may have slight noise that the first lacks, but I cannot tell.", "no"),
        ("<no> The second image has the same blocking as the first.", "no"),
        ("<no> The second image has blocking similar to the first.", "no"),
        ("<no> The second image is as dark as the first.", "no"),
        ("<no> Whatever noise the second image has, the first has it too.", "no"),
        ("<no> The second image doesn't have the kind of blocking that the first lacks.", "no"),
        ("<no> The second image shows no watermark, and the first does not either.", "no"),
        ("<no> The second image has a watermark and the first has one as well.", "no"),
        ("<no> Only slight noise is visible in both images.", "no"),
        ("<no> The second image has clearly visible detail, as does the first.", "no"),
        ("<no> The second image has a clear sky that is as smooth as in the first.", "no"),
        ("<no> The second image is visibly sharp, and so is the first.", "no"),
        ("<no> Clearly visible in both is a tree; no banding appears.", "no"),
        ("<no> Is there blocking in the second image that the first lacks? I see none.", "no deficiency"),
        ("<no> The second image is dark, the first one is dark too.", "no"),
        ("<no> The second image has the first's blocking and nothing that the first lacks.", "no"),
        ("<no> There is not a trace of blocking in the second that the first does not have.", "no"),
        ("<no> Image 2 has noise; image 1 has noise.", "no"),
        ("<yes> Neither image is free of noise, but the second has more of it.", "yes"),
        ("<yes> The first image has no visible blocking. The second does.", "yes"),
        ("<yes> The second image has visible blocking that the first does not have.", "yes"),
        ("<yes> No blocking is visible in the first image, but the second is full of blocks.", "yes"),
        ("<yes> The second image lacks the sharpness of the first.", "yes"),
        ("<yes> The first image lacks the visible noise of the second.", "yes"),
        ("<yes> The first image has no watermark, the second has one.", "yes"),
        ("<yes> The first does not have the blocking that the second has.", "yes"),
        ("<yes> Both images show the same street, but only the second has visible blocking.", "yes"),
        ("<yes> Both have noise, but it is stronger in the second.", "yes"),
        ("<yes> The second image is not as sharp as the first.", "yes"),
        ("<yes> The second image does not look as bright as the first.", "yes"),
        ("<yes> The noise in the second image is not visible in the first.", "yes"),
        ("<yes> There is no blocking in the first image, whereas the second shows it clearly.", "yes"),
        ("<yes> Both are sharp at first glance, yet the second one shows faint rings in the sky.", "yes"),
        ("<yes> The second image is missing the fine texture that the first has.", "yes"),
        ("<yes> Neither the sky nor the wall is smooth in the second image; in the first they are.", "yes"),
        ("<yes> The two are the same apart from visible banding in the second.", "yes"),
        ("<yes> The same scene, but with visible blocking in the second image.", "yes"),
        ("<yes> The second image does not have the clear edges of the first.", "yes"),
        ("<yes> Without the noise, the second would look exactly like the first.", "yes"),
        ("<yes> The first image looks clear and the second looks soft.", "yes"),
        ("<yes> Nothing in the first image is blurred; in the second the leaves are.", "yes"),
        ("<yes> The second image has blocking that cannot be seen in the first.", "yes"),
        ("<yes> Both images have a watermark, but in the second it is clearly more visible.", "yes"),
        ("<yes> The grain does not appear in the first image and is visible only in the second.", "yes"),
        ("<yes> I cannot overlook the blocking that the first lacks.", "yes"),
        ("<yes> The second image has visible blocking that the first image does not.", "yes"),
        ("<yes> The banding is not visible in the first image, only in the second.", "yes"),
        ("<yes> Neither image has a watermark. The tones of the second look washed out.", "yes"),
        ("<yes> The first looks exactly like a clean original, the second like a copy of a copy.", "yes"),
        ("<yes> Nothing of the blocking in the second image is present in the first.", "yes"),
        ("<no> There is some noise in the second image that may also be in the first.", "no"),
        ("<no> The noise that the second image has is the noise that the first has.", "no"),
        ("<no> The second image has noise, and the first has noise, too.", "no"),
        ("<no> The second image has a watermark, and the first image does too.", "no"),
        ("<no> The first and the second image have visible blocking.", "no"),
        ("<no> The second image is not the only one with visible blocking.", "no"),
        ("<no> The blocking is not only in the second image but also in the first.", "no"),
        ("<no> The second image shows blocking, but no more than the first does.", "no"),
        ("<no> The first image has blocking and the second does not differ from it.", "no"),
        ("<no> The second image contains blocking artifacts but the first does not look better.", "no"),
        ("<no> The second image contains noise but the first does not lack it.", "no"),
        ("<no> The watermark is in the second image and in the first.", "no"),
        ("<no> The second image has mild blur and the first is not sharper.", "no"),
    ],
    "what is not clear accuses nobody": [
        ("Yes. The images are nearly identical, yet the leaves in one of them look a bit soft.", "yes"),
        ("Yes. Both show the same scene, a cat on a mat, identical in composition.", "yes"),
        ("Yes. The composition and content are identical, but the second image is blurrier.", "yes"),
        ("Yes. There is no difference in content. The second image has less detail.", "yes"),
        ("Yes. There are no differences other than the blur in the second image.", "yes"),
        ("Yes, the first image is sharp while the second is blurry. There are no other differences.", "yes"),
        ("No. The second image is slightly brighter, but there is no difference in blur.", "no"),
        ("No. If there is a difference, it is not one that a viewer would notice at once.", "no"),
        ("No. I compared the images for differences in edges, colors and grain.", "no"),
        ("No. It is hard to see a difference when both are viewed side by side.", "no"),
        ("Yes, the images are identical except for the mask in the second one.", "yes"),
        ("No. Both images are equally sharp, with the same level of detail throughout.", "no"),
        ("No. To determine whether there is a difference I looked at the edges of the roof.", "no"),
        ("Yes. It is not just a change of color; the edges of the roof are softer as well.", "yes"),
        (
            "Yes. In the first image, the lines of the roof are crisp, and there is no visible noise in the sky. In the second image, the sky is covered by fine grain that does not appear in the first.",
            "yes",
        ),
        (
            "<yes>\n\n**Image 1:** no artifacts, smooth gradients.\n**Image 2:** the gradients are no longer smooth; stripes can be seen.",
            "yes",
        ),
        ("Yes, the second image shows a different level of contrast. The subject remains the same.", "yes"),
        ("Yes. The scene is the same in both images. The only difference is a small dark square near the tree.", "yes"),
        (
            "<yes> Both images show the same lighthouse, with the same framing and the same colors. The second, however, is not as sharp.",
            "yes",
        ),
        ("<yes>\nThe difference is not dramatic, but it is noticeable around the eyes.", "yes"),
        ("Yes, there is a slight difference, though it may not be noticeable at first glance.", "yes"),
        ("<no>\n\nThere may be minor differences in encoding, but nothing that a viewer would notice.", "no"),
        ("<no>\nI checked the following: sharpness – same; noise – same; color – same.", "no"),
        ("No. A difference would show up as softer edges or lower contrast, and I do not observe this here.", "no"),
        ("No. The first image is bright and colorful. The second image is bright and colorful too.", "no"),
        ("No. More detailed inspection with pixel-level tools would be needed to see a difference.", "no"),
        ("<no> If the second image had been blurred, the text would be harder to read, which is not the case.", "no"),
        (
            "**<no> If the second image had been blurred, the text would be harder to read, which is not the case.**",
            "no",
        ),
        ("<no>\nBoth images have slightly darker corners (vignetting), which is consistent between them.", "no"),
        (
            "No. The images are very similar and any difference is likely due to compression and not noticeable to the eye.",
            "no",
        ),
        ("No, the brightness looks consistent. The sky is brighter than the ground in both images.", "no"),
        (
            "No. The background is blurrier than the foreground, due to depth of field, and this holds for both pictures alike.",
            "no",
        ),
        (
            "<yes> In terms of color saturation there is a difference. In terms of composition they are identical.",
            "yes",
        ),
        (
            "Yes - although the images look the same at first glance, the second has a faint QR code at the bottom.",
            "yes",
        ),
        ("<yes> It is clear that the two are not the same; grain is visible everywhere in one of them.", "yes"),
        ("Yes. The perspective has changed: the camera in the second image has moved closer to the table.", "yes"),
        ("No. There's no camera movement; the table, the window and the door are at the same positions.", "no"),
        ("<no> The perspectives of these two images are identical. The vanishing point is the same.", "no"),
        ("<no>, the viewpoint is the same in the two images, with no shift of the objects.", "no"),
        (
            "Yes, the two images show no difference in subject, but the second image has visible artifacts from compression.",
            "yes",
        ),
        ("<yes>. It does not look like the same exposure was used.", "yes"),
        ("Yes: without the mask, the second image would be identical to the first.", "yes"),
        ("<no> Without zooming in I cannot see a difference.", "no"),
        ("<no>. The darker areas in the first image are just as dark in the second.", "no"),
        ("Yes. The color of the sky is less saturated. There is no change in geometry.", "yes"),
        ("<yes> I can see that the second image is slightly blurred; it's not identical to the first.", "yes"),
        ("No, I do not perceive any blur in either of the images.", "no"),
        (
            "Yes, there is a noticeable difference between the two images in terms of noise. There is no noise in the first one.",
            "yes",
        ),
        ("<no> Both images show the same amount of blur. No difference is noticed.", "no"),
        ("No. Looking for any noticeable difference, I compared both roofs and both skies.", "no"),
        ("Yes. The scene is the same in both images, and the sky in one of them is full of grain.", "yes"),
        ("Yes. The images look identical, but one has a haze over the lake.", "yes"),
        ("Noticeable difference: <no>. The roofs and the skies look as they should in both.", "no"),
        ("No. There is hardly a visible difference between the two roofs.", "no"),
        ("No. The difference between the two is barely noticeable.", "no"),
        ("Yes. The difference between the two is barely noticeable.", "yes"),
        ("No. The second image has a similar brightness compared to the first.", "no"),
        ("Images A and B show the same street. No.", "no"),
    ],
    "a change of mind": [
        ("Yes... wait, actually no, they are identical.", "no"),
        ("Yes, there seems to be a difference. Wait, no, they are the same.", "no"),
        (f"No. Hmm, actually, yes: {SHARP}", "yes"),
        (f"<no>\nOn closer inspection, I was wrong. {SHARP}\n<yes>", "yes"),
        (f"Yes at first sight. {TWINS} Final answer: <no>", "no"),
        ("No, sorry, yes. There is a slight change in brightness.", "yes"),
    ],
    "flags at odds": [
        (f"<yes> {SHARP} <no>", "no antilogy"),
        ("No. The images show the same street with a red car and a tree. Yes.", "yes antilogy"),
        ("<no>\n<yes> There is a difference.", "yes antilogy"),
        ("Yes and no.", "unreadable deficiency"),
        ("Yes and no. It depends on how closely you look at the images.", "unreadable"),
        ("<yes> or <no>", "unreadable deficiency"),
        ("yes/no", "unreadable deficiency"),
        ("Yes, no.", "unreadable deficiency"),
        ("<yes>no", "unreadable deficiency"),
    ],
    "an echo of the question is no flag": [
        ("Please return <yes> or <no> with analysis.", "unreadable deficiency"),
        (
            'Is there any noticeable difference in "blur" between these two images? '
            "Please return <yes> or <no> with analysis.",
            "unreadable deficiency",
        ),
        ("Is there any noticeable difference between these two images?", "unreadable deficiency"),
        (f'Is there any noticeable difference in "blur" between these two images? {TWINS}', "no deficiency"),
        (f"Please return <yes> or <no> with analysis. <no> {TWINS}", "no"),
        (f"Question: Is there any noticeable difference in noise? Answer: Yes. {SHARP}", "yes"),
        (f"The user wants me to return <yes> or <no> with analysis. {SHARP}", "yes deficiency"),
        ("I have to answer yes or no.", "unreadable deficiency"),
        (f"Are the images identical? No. {SHARP}", "yes deficiency"),
        (f"USER: Do they differ noticeably? ASSISTANT: no, {TWINS}", "no"),
    ],
    "only what follows the thought counts": [
        (f"<think>Yes? The edges look soft. Yes.</think>\n<no> {TWINS}", "no"),
        (f"<think>They look identical.</think>Yes. {SHARP}", "yes"),
        (f"they look identical, so no.\n</think>\n\n<yes> {SHARP}", "yes"),
        (f"◁think▷No, the same.◁/think▷ Yes, {SHARP}", "yes"),
        ("<think>Yes, there is a difference", "unreadable deficiency", "length"),
        ("<think>Yes, there is a difference", "unreadable deficiency"),
        ("<think>Yes, there is a difference.</think>", "unreadable deficiency"),
        ("<think></think>\nNo", "no deficiency"),
        (
            "<think>\nGot it, let's compare the two images. First image: owl. Second: owl. The second looks a bit blurrier? Yes.\n</think>\n\n<yes> The second image has softer feather details than the first.",
            "yes",
        ),
    ],
    "other languages": [
        ("是的，两张图片之间有明显差异，第二张图片更模糊。", "yes"),
        ("<是> 第二张图片更加模糊，边缘细节丢失。", "yes"),
        ("否，两张图片没有明显差异。", "no"),
        ("答案是“否”。两张图片在亮度上完全一致。", "no"),
        ("没有明显差异", "no deficiency"),
        ("两张图片之间有明显差异", "yes deficiency"),
        ("这两张图片看起来相同。", "no deficiency"),
        ("<yes> 没有明显的差异。", "yes antilogy"),
        ("<no> 两张图像之间没有明显的区别。", "no"),
        ("Ja, es gibt einen deutlichen Unterschied in der Schärfe.", "yes"),
        ("Nein, es gibt keinen erkennbaren Unterschied zwischen den Bildern.", "no"),
        ("Nein. Die Bilder sind identisch.", "no"),
        ("Ja, die beiden Bilder sind identisch.", "yes antilogy"),
        ("Oui, il y a une différence notable de netteté entre les deux images.", "yes"),
        ("Non, il n'y a pas de différence visible entre les deux images.", "no"),
        ("Les deux images sont identiques.", "no deficiency"),
        ("Sí, hay una diferencia notable en el desenfoque.", "yes"),
        ("No, no hay ninguna diferencia visible entre las imágenes.", "no"),
        ("No hay diferencias visibles.", "no deficiency"),
        ("はい、2枚の画像には明らかな違いがあります。", "yes"),
        ("いいえ、違いは見られません。", "no"),
        ("2枚の画像に目立った違いはありません。", "no deficiency"),
        ("Да, есть заметная разница в резкости.", "yes"),
        ("Нет, изображения идентичны.", "no"),
        ("Нет заметной разницы.", "no deficiency"),
        ("예, 두 이미지 사이에 뚜렷한 차이가 있습니다.", "yes"),
        ("아니요, 차이가 없습니다.", "no"),
        ("아니오", "no deficiency"),
        ("<yes>第二张图片的对比度比第一张低，整体显得更暗淡。", "yes"),
        ("Não, não há diferença perceptível entre as imagens.", "no"),
        ("Nein, die Bilder sehen gleich aus.", "no"),
        ("Non. Je ne vois aucune différence.", "no"),
        ("有。第二张图更暗。", "yes"),
        ("没有。两张图一样。", "no"),
        ("不，两张图片没有可察觉的差异。", "no"),
    ],
    "unreadable: nothing there": [
        ("", "unreadable deficiency"),
        (" \n\t\u3000 ", "unreadable deficiency"),
        ("\u200b\u200b", "unreadable deficiency"),
        ("```\n```", "unreadable deficiency"),
        ("<|im_end|>", "unreadable deficiency"),
    ],
    "unreadable: refused": [
        ("I'm sorry, but I can't assist with that request.", "unreadable deficiency"),
        ("I'm sorry, I can't help with identifying differences between images.", "unreadable deficiency"),
        ("I am unable to view images. Please upload them again.", "unreadable deficiency"),
        ("As an AI language model, I do not have eyes.", "unreadable deficiency"),
        ("Sorry.", "unreadable deficiency"),
        ("I cannot determine whether there is a difference.", "unreadable deficiency"),
        ("很抱歉，我无法比较这些图片。", "unreadable deficiency"),
        ("The images show", "unreadable deficiency", "content_filter"),
        ("429 Too Many Requests", "unreadable deficiency"),
        ("Error: rate limit reached for this model", "unreadable deficiency"),
        (
            "I'm unable to directly compare images visually, but based on a description I could help you analyze them.",
            "unreadable deficiency",
        ),
        (
            "I'm sorry, I can't determine if there's a noticeable difference in \"banding artifacts\" between these two images.",
            "unreadable deficiency",
        ),
        ("The answer cannot be determined from the images.", "unreadable deficiency"),
        ("I'm sorry, but I cannot see the images you are referring to.", "unreadable deficiency"),
        ("Unfortunately, I cannot view images directly.", "unreadable deficiency"),
        ("As a text-based model I have no access to the pictures.", "unreadable deficiency"),
        ("ERROR: image could not be loaded", "unreadable deficiency"),
    ],
    "unreadable: cut off": [
        ("The two images show a wooden house by the", "unreadable deficiency", "length"),
        ("To answer this, I will first look at", "unreadable deficiency", "length"),
        ("Upon", "unreadable deficiency", "length"),
    ],
    "unreadable: no meaning": [
        ("@@##!! %% ^^ &&& ***", "unreadable gibberish"),
        ("!!!!!!!!!!!!!!!!!!!!!!!!!!!!!", "unreadable gibberish", "length"),
        ("\ufffd\ufffd\ufffd\ufffd", "unreadable gibberish"),
        ("0 0 0 0 0 1 0 0 1", "unreadable gibberish"),
        ("the the the the the the the the the the", "unreadable gibberish", "length"),
        ("The image is the image is the image is the image is the image is the image is", "unreadable gibberish"),
        ("banana carburetor seven plinth oblique", "unreadable gibberish"),
        ("asdkj qwpoe zxmcn", "unreadable gibberish"),
        ("🙂🙃🙂🙃", "unreadable gibberish"),
        ("图图图图图图图图图图图图图图图图图图图图", "unreadable gibberish"),
        (
            "addCriterion\n\naddCriterion\n\naddCriterion\n\naddCriterion\n\naddCriterion\n\naddCriterion\n\naddCriterion\n\naddCriterion",
            "unreadable gibberish",
        ),
        (
            " The first image is a close-up of a cat's face. The second image is a close-up of a cat's face. The first image is a close-up of a cat's face. The second image is a close-up of a cat's face. The first image is a close-up of a cat's face. The second image is a close-up of a cat's face. The first image is a close-up of a cat's face.",
            "unreadable gibberish",
        ),
        ("ĠĠĠ ,,, 2222 -- ;; ()", "unreadable gibberish"),
        (
            "perspectives perspectives perspectives perspectives perspectives perspectives perspectives perspectives perspectives",
            "unreadable gibberish",
        ),
    ],
    "unreadable, and no fault": [
        ("Maybe.", "unreadable"),
        ("It depends on the viewer.", "unreadable"),
        ("I see a cat and a dog in a garden.", "unreadable"),
        ("Both images show a street with cars and people.", "unreadable"),
        ("The images look similar.", "unreadable"),
        ("A", "unreadable"),
        ("The image shows a man riding a horse on a beach.", "unreadable"),
        ("The images you've provided are too small for me to analyze.", "unreadable"),
        ("Not noticeably.", "unreadable"),
        ("The answer is not yes.", "unreadable"),
        ("My answer is not <yes>.", "unreadable"),
    ],
}

CHOICE: dict[str, list[Row]] = {
    "a letter is complete": [
        ("A", "yes"),
        ("B", "no"),
        ("a", "yes"),
        ("B.", "no"),
        ("(A)", "yes"),
        ("B)", "no"),
        ("A:", "yes"),
        ("**B**", "no"),
        ("`A`", "yes"),
        ("[B]", "no"),
        ('"A"', "yes"),
        ("\\boxed{A}", "yes"),
        ("$\\boxed{\\text{B}}$", "no"),
        ("<B>", "no"),
        ("<answer>A</answer>", "yes"),
        (" \nB\n", "no"),
        ("Ａ", "yes"),
        ("Option A", "yes"),
        ("Option B.", "no"),
        ("Answer: A", "yes"),
        ("The answer is B", "no"),
        ("The correct option is A.", "yes"),
        ("The answer is option B.", "no"),
        ("I choose A.", "yes"),
        ("I would go with B.", "no"),
        ("My choice: B", "no"),
        ('{"answer": "A"}', "yes"),
        ("答案：B", "no"),
        ("<think>A? no, B.</think>A", "yes"),
        ("The images look alike to me, therefore, B.", "no"),
        ("Answer: (A)", "yes"),
        ("A.\n", "yes"),
        ("B is correct.", "no"),
        ("A is the right answer.", "yes"),
        ("I think it's B.", "no"),
        ("Both images look the same, so B.", "no"),
        ("Letter: A", "yes"),
        ("[[B]]", "no"),
        ("The option's letter is B.", "no"),
        ("A, there is a difference", "yes"),
        ("Yes, A.", "yes"),
        ("**Answer: B**", "no"),
        ("It is A", "yes"),
        ("Option (B)", "no"),
    ],
    "a letter with its word": [
        ("A. Yes", "yes"),
        ("B. No", "no"),
        ("(B) No.", "no"),
        ("A) Yes", "yes"),
        ("A: Yes", "yes"),
        ("**B. No**", "no"),
        ("B - No", "no"),
        ("A Yes", "yes"),
        ("Yes (A)", "yes"),
        ("Answer: B. No", "no"),
        ("B. No, the images are identical.", "no"),
        (f"A. Yes. {SHARP}", "yes"),
        ("The correct answer is B. No, there is no noticeable difference in blur between the two images.", "no"),
        ("A. Yes, there is a noticeable difference in noise between these two images.", "yes"),
        ("**B. No**\n\nThe images look identical.", "no"),
        ("Based on the images provided, the answer is:\n\n**B. No**", "no"),
        ("ANSWER: B. NO", "no"),
        ("b) no difference", "no"),
    ],
    "a word alone": [("Yes", "yes"), ("No.", "no"), ("<no>", "no"), ("**Yes**", "yes")],
    "a letter outranks the word beside it": [
        ("A. No", "yes antilogy"),
        ("B. Yes", "no antilogy"),
        ("(A) No.", "yes antilogy"),
        ("B) Yes, there is a difference.", "no antilogy"),
    ],
    "a letter with analysis": [
        (f"A\n\n{SHARP}", "yes"),
        (f"B. {TWINS}", "no"),
        (f"{TWINS}\n\nAnswer: B", "no"),
        (f"B, because {TWINS}", "no"),
        ("A. The images are identical.", "yes antilogy"),
        (f"B. {SHARP}", "no antilogy"),
        ("A. No noticeable difference.", "yes antilogy"),
        ("A, wait, actually B.", "no"),
        ("B\n\nExplanation: Both images appear to have the same sharpness.", "no"),
        ("The answer is A because the second image is darker.", "yes"),
    ],
    "the article a is no letter": [
        ("A noticeable difference in blur is visible.", "yes deficiency"),
        ("A difference cannot be seen.", "no deficiency"),
        ("A cat sits on a mat in both images.", "unreadable"),
    ],
    "analysis without a letter": [
        ("The images appear identical.", "no deficiency"),
        ("I notice a difference.", "yes deficiency"),
        ("No noticeable difference.", "no deficiency"),
    ],
    "two letters at odds": [
        ("A\nB", "no antilogy"),
    ],
    "an echo of the menu is no letter": [
        ("A. Yes; B. No", "unreadable deficiency"),
        ("A. Yes\nB. No", "unreadable deficiency"),
        ("A. Yes; B. No\nAnswer with the option's letter from the given choices directly.", "unreadable deficiency"),
        ("A. Yes; B. No\nB", "no"),
        ("(A) Yes (B) No\n\nAnswer: A", "yes"),
        ("A or B", "unreadable deficiency"),
        ("B. No; A. Yes", "unreadable deficiency"),
        ("Given the choices: A. Yes; B. No, I choose B.", "no"),
        ("A. Yes; B. No\n\nThe answer is A.", "yes"),
        ("Neither A nor B.", "unreadable"),
    ],
    "unreadable": [
        ("", "unreadable deficiency"),
        ("C", "unreadable gibberish"),
        ("429 Too Many Requests", "unreadable deficiency"),
        ("I can't help with that.", "unreadable deficiency"),
    ],
}


def _verdict(expected: str) -> Verdict:
    flag, _, fault = expected.partition(" ")
    return Verdict(Flag(flag), Fault(fault) if fault else None)


def _rows(table: dict[str, list[Row]]) -> list[object]:
    return [
        pytest.param(row[0], row[2] if len(row) == 3 else "stop", _verdict(row[1]), id=f"{rule}-{number}")
        for rule, rows in table.items()
        for number, row in enumerate(rows, 1)
    ]


@pytest.mark.parametrize(("text", "finish", "verdict"), _rows(DIRECT))
def test_direct(text: str, finish: str, verdict: Verdict) -> None:
    assert read_direct(text, finish) == verdict


@pytest.mark.parametrize(("text", "finish", "verdict"), _rows(CHOICE))
def test_choice(text: str, finish: str, verdict: Verdict) -> None:
    assert read_choice(text, finish) == verdict


def test_only_yes_counts_as_noticed() -> None:
    assert [Verdict(flag).yes for flag in (Flag.YES, Flag.NO, Flag.UNREADABLE)] == [True, False, False]


def test_questions_read_with_their_own_reader() -> None:
    answer = (question.Answer("A"),)
    assert question.find("choice").read(answer) == Verdict(Flag.YES)
    assert question.find("choice-implicit").read(answer) == Verdict(Flag.YES)
    assert question.find("direct").read(answer) == Verdict(Flag.UNREADABLE)
    assert question.find("direct-implicit").read(answer) == Verdict(Flag.UNREADABLE)


def test_the_wording_itself_is_no_answer() -> None:
    for asked in question.every():
        for variant in range(1 + len(asked.paraphrases) if not asked.itemised else 0):
            for word in ("blur", "JPEG compression", "perspectives"):
                echo = question.Answer(asked.fill(word, variant))
                verdict = asked.read((echo,), name="series/0/1")
                assert verdict.flag is Flag.UNREADABLE, (echo.text, verdict)


READERS = st.sampled_from([read_direct, read_choice])
WRITTEN = st.sampled_from(
    [(read_direct, row[0]) for rows in DIRECT.values() for row in rows]
    + [(read_choice, row[0]) for rows in CHOICE.values() for row in rows]
)
PIECES = (
    "yes",
    "no",
    "<yes>",
    "<no>",
    "A",
    "B",
    "A.",
    "(B)",
    "\\boxed{",
    "}",
    "<think>",
    "</think>",
    "...",
    ",",
    ".",
    "?",
)
PIECES += ("!", ":", ";", "-", "\n", '"', "'", "**", "not", "n't", "any", "the", "there is", "difference", "identical")
PIECES += ("same", "but", "wait", "answer:", "option", "or", "/", "是", "没有", "差异", "✅", "\x01", "\u200b")
FRAGMENTS = st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join)


@given(READERS, st.text() | FRAGMENTS, st.sampled_from(["", "stop", "length", "content_filter"]))
def test_any_text_is_read(reader, text: str, finish: str) -> None:  # type: ignore[no-untyped-def]
    verdict = reader(text, finish)
    assert verdict.fault is not Fault.GIBBERISH or verdict.flag is Flag.UNREADABLE
    assert verdict.fault is not Fault.ANTILOGY or verdict.flag is not Flag.UNREADABLE


@given(READERS, FRAGMENTS)
def test_how_it_ended_changes_no_flag(reader, text: str) -> None:  # type: ignore[no-untyped-def]
    assert len({reader(text, finish).flag for finish in ("", "stop", "length", "content_filter")}) == 1


@given(
    WRITTEN,
    st.sampled_from([str.upper, str.lower, str.swapcase]),
    st.sampled_from(["{}", "  {}\n\n", "\r\n{} ", "**{}**", "_{}_", "> {}", "\u200b{}", "```\n{}\n```", "<b>{}</b>"]),
)
@settings(max_examples=300)
def test_case_and_dress_change_no_flag(written, case, dress: str) -> None:  # type: ignore[no-untyped-def]
    reader, text = written
    assume("<b>" not in dress or "<b>" not in text.casefold())  # the letter B, as a tag, in bold: nobody can tell
    assert reader(dress.format(case(text)), "stop").flag is reader(text, "stop").flag


ENDLESS = [
    "a",
    ".",
    "...",
    "no ",
    "so, ",
    "n't ",
    "<a",
    "1. ",
    "there is a ",
    "<yes",
    "?",
    "是",
    "没有",
    " ",
    "(yes",
    "e\u0315\u0300",
]


@pytest.mark.parametrize("piece", ENDLESS)
def test_a_megabyte_takes_less_than_a_second(piece: str) -> None:
    text = "".join(islice(cycle(piece), 1_000_000))
    start = time.process_time()
    read_direct(text, "length")
    assert time.process_time() - start < 1


def test_the_end_of_an_endless_answer_is_read() -> None:
    assert read_direct("Let me look at every tree. " * 40_000 + "Final answer: <no>").flag is Flag.NO


def test_a_change_of_the_reader_raises_its_version() -> None:
    """Change a row above, and this line reminds you that stored runs were steered by another reader."""
    assert yes_no.READER_VERSION == 3


APART = [
    row[0]
    for rule in list(DIRECT)
    if "artefacts" in rule or "one picture" in rule or "neither" in rule
    for row in DIRECT[rule]
]
LINES = [
    (table, line)
    for table in ("_NOT_APART", "_APART_MOOT", "_APART")
    for line in getattr(phrases, table).splitlines()
    if line
]


@pytest.mark.parametrize(("table", "line"), LINES)
def test_each_line_about_what_one_picture_lacks_is_needed(
    table: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = dict(
        zip(("no_change", "moot", "a_change"), (phrases._NOT_APART, phrases._APART_MOOT, phrases._APART), strict=True)
    )
    shorter = {name: text.replace(f"{line}\n", "") for name, text in tables.items()}
    assert shorter != tables
    before = [read_direct(text, "stop") for text in APART]
    monkeypatch.setattr(phrases, "_APARTS", tuple(shorter.items()))
    assert [read_direct(text, "stop") for text in APART] != before


@given(FRAGMENTS)
def test_the_quick_pattern_finds_what_the_whole_one_does(text: str) -> None:
    plain = text.casefold().encode("ascii", "ignore").decode()
    assert list(phrases.found(plain)) == [str(match.lastgroup) for match in phrases._any().finditer(plain)]


@pytest.mark.parametrize(("text", "finish", "verdict"), _rows(DIRECT))
def test_the_quick_pattern_on_answers_as_they_are(text: str, finish: str, verdict: Verdict) -> None:
    plain = text.casefold().encode("ascii", "ignore").decode()
    assert list(phrases.found(plain)) == [str(match.lastgroup) for match in phrases._any().finditer(plain)]


MENUS = st.lists(st.sampled_from([
    "\x01", "\x02", "\x03", "yes", "no", "ja", "oder", "or", "and", "nor", "/", "a", "b", "option ", "是", "或", "还是", " ", " ",
    ",", ".", ")", "\n", "?", ":", "same", "identical", "return ?", "compare the first image with the second",
]), max_size=12).map("".join)  # fmt: skip


@given(MENUS)
@settings(max_examples=400)
def test_what_is_looked_for_first_is_in_every_menu_and_echo(text: str) -> None:
    if yes_no._MENU.search(text):
        assert " or " in text or yes_no._MAY_BE_MENU.search(text)
    if yes_no._ECHO.search(text):
        assert any(part in text for part in yes_no._PARTS_OF_ECHOES)


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_signs_are_plain_already(text: str) -> None:
    assert yes_no._plain(f"{text}é") == f"{yes_no._plain(text)}é"


@pytest.mark.parametrize("read", [read_direct, read_choice])
@pytest.mark.parametrize(
    ("text", "differs", "flag"),
    [
        ("The two images are identical.", Flag.YES, Flag.NO),
        ("The two images are identical.", Flag.NO, Flag.YES),
        ("I see no difference.", Flag.NO, Flag.YES),
        ("The second image is blurrier.", Flag.NO, Flag.NO),
        ("The two images are identical.", None, Flag.UNREADABLE),
        ("The second image is blurrier.", None, Flag.UNREADABLE),
    ],
)
def test_what_is_said_without_a_flag_depends_on_what_was_asked(
    read: Callable[..., Verdict], text: str, differs: Flag | None, flag: Flag
) -> None:
    assert read(text, "stop", differs).flag is flag


@pytest.mark.parametrize(
    ("text", "differs", "fault"),
    [
        ("No, the second is blurrier than the first.", Flag.NO, None),
        ("No, the second is blurrier than the first.", Flag.YES, Fault.ANTILOGY),
        ("<yes> The two images look exactly the same to me.", Flag.NO, None),
        ("<no> The two images look exactly the same to me.", Flag.NO, Fault.ANTILOGY),
        ("<no> The two cups look exactly the same to me.", None, None),
        ("<yes> There is a clear difference between both.", None, None),
    ],
)
def test_a_flag_is_contradicted_by_what_the_question_makes_of_it(
    text: str, differs: Flag | None, fault: Fault | None
) -> None:
    assert read_direct(text, "stop", differs).fault == fault
