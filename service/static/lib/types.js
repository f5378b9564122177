/** Types of the service's JSON. Generated from docs/openapi.json by `make openapi`. */

/**
 * The result of serving the new release of a job.
 *
 * @typedef {object} AcceptedJob
 * @property {string} release Name of the release.
 * @property {string} release_digest SHA-256 that identifies its content.
 * @property {string} before Name of the release that was served before.
 * @property {boolean} changed False: it was the served release before.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {number} exemplars Number of its exemplars that take part in votes.
 * @property {string|null} after_restart Release that this process would serve after a restart: the setting `release` overrides activation. Null: there is none in the store.
 * @property {number} seconds Duration of the activation in seconds.
 * @property {number} carried_over Number of edits made on it before it was served, for edits of the old release meanwhile.
 */

/**
 * The result of activating a release.
 *
 * @typedef {object} ActivatedRelease
 * @property {string} release Name of the release.
 * @property {string} release_digest SHA-256 that identifies its content.
 * @property {string} before Name of the release that was served before.
 * @property {boolean} changed False: it was the served release before.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {number} exemplars Number of its exemplars that take part in votes.
 * @property {string|null} after_restart Release that this process would serve after a restart: the setting `release` overrides activation. Null: there is none in the store.
 * @property {number} seconds Duration of the activation in seconds.
 */

/**
 * How to adapt.
 *
 * @typedef {object} Adapt
 * @property {string|null} [name] Name of the new release. By default, that of the old one, -a and the number of the edit.
 * @property {"auto"|"none"|"linear"|"mlp"|"forest"|"softmax"|"ensemble"} [fit] Kind of the head; auto chooses by cross-validation.
 * @property {"if_better"|"always"|"never"} [activate] Whether the new release is served: only if it is better, always, or never.
 * @property {number|null} [budget_s] Seconds for choosing a head. By default, SEGSORT_ADAPT_BUDGET_S.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * The new release of an adaptation.
 *
 * @typedef {object} AdaptationResult
 * @property {string} release Name of the new release, which is in GET /releases.
 * @property {number|null} before Mean intersection over union, 0 to 1, by cross-validation on the images of the exemplars; null: they cannot be compared, for example because pixels of a class are marked in a single image.
 * @property {number|null} after Mean intersection over union, 0 to 1, by cross-validation on the images of the exemplars; null: they cannot be compared, for example because pixels of a class are marked in a single image.
 * @property {number|null} [images] Number of images with marks; null: the job is older than this field.
 * @property {boolean} better Whether `after` exceeds `before`.
 * @property {string} head The head that was chosen.
 * @property {number} seconds Time of the fit, seconds.
 * @property {number} index_revision Last edit of the old release that the new one begins with.
 * @property {boolean} activated Whether it is served.
 * @property {number} carried_over Number of edits made on it before it was served, for edits of the old release meanwhile.
 * @property {string|null} why_not Why it is not served; null: it is.
 */

/**
 * Scores of an adaptation: mIoU, 0 to 1, by cross-validation; null: images could not be compared.
 *
 * @typedef {object} AdaptedScores
 * @property {number|null} before Of the head before, on the same images; null: not compared.
 * @property {number|null} after Of the new head; null: not compared.
 * @property {number|null} images Number of images with marks; null: the card does not say it.
 */

/**
 * A labelled part of the image.
 *
 * @typedef {object} AddedExemplar
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} area Number of pixels.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {number} strength Number of exemplars that it counts as: 1, or more for a stroke.
 * @property {"all"|"image"} scope all: it votes for segments of every image; image: only for those of its own image.
 * @property {boolean} wins Whether its class wins the vote on its own pixels. False: another class looks the same to the network.
 * @property {boolean} added False: the exemplar existed before.
 */

/**
 * A labelled shape: a class by name or id, and a mask or polygons. An annotation of a COCO file is one too.
 *
 * @typedef {object} Annotation
 * @property {string|null} [class_name] Name of its class; a new name creates a class.
 * @property {number|null} [class_id] Id of its class, instead of a name.
 * @property {number|null} [category_id] Instead of a name or id of its class: id of an entry of `categories`, as in COCO files.
 * @property {string|null} [color] Colour #rrggbb of the class if it is created.
 * @property {ShapeMask|null} [mask] Its pixels as run lengths or polygons.
 * @property {(number[]|[number, number][])[]|null} [polygons] Instead of a mask: outlines in pixels of the upright image, each [x, y, x, y, ...] or [[x, y], ...]. One outline needs no list around it. A pixel belongs to the shape if its centre is inside an odd number of outlines: an outline inside another is a hole. Parts outside the image are left out.
 * @property {(number[]|[number, number][])[]|ShapeMask|null} [segmentation] COCO's name for polygons or mask; instead of these.
 * @property {unknown} [id] A field of COCO. It is not used.
 * @property {unknown} [image_id] A field of COCO. It is not used.
 * @property {unknown} [iscrowd] A field of COCO. It is not used.
 * @property {unknown} [area] A field of COCO. It is not used.
 * @property {unknown} [bbox] A field of COCO. It is not used.
 * @property {unknown} [keypoints] A field of COCO. It is not used.
 * @property {unknown} [num_keypoints] A field of COCO. It is not used.
 * @property {unknown} [attributes] A field of COCO. It is not used.
 * @property {unknown} [score] A field of COCO. It is not used.
 */

/**
 * A segmented image.
 *
 * @typedef {object} Answer
 * @property {string} segmentation_id Id of the answer.
 * @property {number} width Width of the upright image in pixels.
 * @property {number} height Height of the upright image in pixels.
 * @property {string} release Name of the release.
 * @property {string|null} release_digest SHA-256 that identifies the content of the release: another one may have its name later. Null: a version that did not record it.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {ClassInfo[]} classes Classes that segments could take.
 * @property {Segment[]} segments The segments. Each pixel of the image is in exactly one of them.
 * @property {string|null} image_id SHA-256 of the image file; null where none was recorded.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string|null} conversion What was done to the values of the image when it was decoded, if they were not 8 bits of grey or RGB; null: nothing, or an old answer.
 * @property {number} page Number of the page of the file that was sent, from 0. The image is this page alone.
 * @property {number} pages How many pages the file has: 1 for most, more for some TIFFs.
 * @property {Incomplete} [incomplete] For an earlier answer whose release is gone: what is missing. Its segments have no exemplars, and classes that no edit named are called by their number.
 */

/**
 * An answer in a list.
 *
 * @typedef {object} AnswerSummary
 * @property {string} segmentation_id Id of the answer.
 * @property {string} created Time in UTC, RFC 3339 with milliseconds.
 * @property {number} width Width of the upright image in pixels.
 * @property {number} height Height of the upright image in pixels.
 * @property {string} release Name of the release.
 * @property {string|null} release_digest SHA-256 that identifies the content of the release: another one may have its name later. Null: a version that did not record it.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {number} segments Number of segments.
 * @property {string|null} image_id SHA-256 of the image file; null where none was recorded.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {number} page Number of the page of the file that was sent, from 0.
 * @property {number} pages How many pages the file has.
 * @property {boolean} pinned Whether it is kept whatever the retention: see PUT .../pin. Updates inherit it.
 * @property {number} marked Number of exemplars of the image: marks of it that still vote.
 * @property {boolean} outdated Whether its labels may be others now. After later edits, relabel the answer; if another release is served now, segment its image again.
 */

/**
 * One page of what an audit found.
 *
 * @typedef {object} Audit
 * @property {"contradicted"|"duplicates"|"thin"|"corrections"} kind What was looked for.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {number} compared Number of exemplars that were compared.
 * @property {boolean} across_images Whether exemplars were judged by those of other images alone. False: there are fewer than three images.
 * @property {number} total Number of entries on all pages.
 * @property {AuditEntry[]} entries The entries of the page, the most doubtful first.
 */

/**
 * An exemplar, a group of near duplicates, or a class that is worth a look.
 *
 * @typedef {object} AuditEntry
 * @property {ExemplarSummary|null} exemplar The exemplar; for duplicates, the one that the others are compared with; null for thin classes.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} score contradicted: 0 to 1, how much nearer another class is than its own; duplicates: smallest cosine to the exemplar; thin: sum of the strengths; corrections: number of corrected segments.
 * @property {string} reason Why it is listed, in words.
 * @property {number|null} suggested_class_id For contradicted ones: number of the class that wins the vote; else null.
 * @property {string|null} suggested_class_name Name of that class; else null.
 * @property {number|null} margin For contradicted ones: share of the vote of that class minus the share of its own; else null.
 * @property {boolean|null} conflict For duplicates: whether they have several classes; else null.
 * @property {AuditNeighbour[]} neighbours contradicted: the nearest exemplars of the other class; duplicates: the others of the group. The nearest first.
 * @property {CorrectedSegment[]} corrected For corrections: corrected segments that it had voted on, the newest first, at most 12. Readers see segments of their own answers.
 * @property {number|null} exemplars For thin classes: number of exemplars; else null.
 * @property {number|null} images For thin classes: number of their images; else null.
 */

/**
 * An exemplar near another one.
 *
 * @typedef {object} AuditNeighbour
 * @property {ExemplarSummary} exemplar The other exemplar.
 * @property {number} similarity Cosine of the two prototypes; 1: same direction. A float32 with all its digits.
 */

/**
 * The answers to a batch of images.
 *
 * @typedef {object} BatchAnswer
 * @property {number} succeeded Number of images with an answer.
 * @property {number} failed Number of images with a problem.
 * @property {BatchImage[]} images The images, in the order in which they were sent.
 */

/**
 * One image of a batch: its answer, or why it has none.
 *
 * @typedef {object} BatchImage
 * @property {string} name Name of its file, as it was sent.
 * @property {number} status Status that the image alone would have had.
 * @property {NewAnswer|null} answer The answer, as POST /segment gives it; null: there is a problem.
 * @property {Problem|null} problem Why the image was not segmented; null: it was.
 * @property {number|null} retry_after Seconds to wait before the image is sent again; null: there is no problem, or it will not pass.
 */

/**
 * The pixels of a segment near other segments. There its outline is least certain.
 *
 * @typedef {object} Boundary
 * @property {number} distance_px Largest distance that counts as near, in pixels.
 * @property {number} share Share of the segment's pixels that are near, 0 to 1.
 * @property {BoundaryNeighbour[]} neighbours The other segments, the largest share first.
 */

/**
 * Another segment at the boundary.
 *
 * @typedef {object} BoundaryNeighbour
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string|null} class_name Name of the class; null: there was no exemplar that could vote.
 * @property {boolean} known False: no exemplar is similar enough, so the label should not be trusted.
 * @property {number} share Share of the pixels that lie near this segment, 0 to 1.
 */

/**
 * What to build.
 *
 * @typedef {object} BuildBody
 * @property {string} survey_id Id of the labelled images.
 * @property {string} name Name of the new release: 1 to 100 letters, digits, dots, dashes and underscores.
 * @property {Record<string, string|null>} [classes] New name by class of the survey; null leaves its pixels unlabelled. Classes of one new name are merged; a class that is not given keeps its name.
 * @property {string} [features] What describes the pixels: `general`, `filters`, or another release with features.
 * @property {number|null} [budget_s] Seconds for choosing a head. By default, SEGSORT_ADAPT_BUDGET_S.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * The new release of a build, and how well it labels images that the build did not see.
 *
 * @typedef {object} BuildResult
 * @property {string} release Name of the new release, which is in GET /releases.
 * @property {number} images Number of images that it was built from.
 * @property {number} exemplars Number of its exemplars.
 * @property {number} held_out Number of images that were held out.
 * @property {string} rule How these were chosen, in words.
 * @property {number|null} miou Mean of the IoU of the classes, on the held-out images; null: there are none.
 * @property {string|null} compared_with Release that was served meanwhile; null: it has no exemplars.
 * @property {number|null} miou_compared Of that release on the same images. Classes are matched by name, and one that it does not have counts as 0. Null: no class has the same name, or nothing was compared.
 * @property {MeasuredClass[]} per_class The classes of the new release.
 * @property {string} head The head that was chosen.
 * @property {string[]} warnings What a user should look at, such as classes without exemplars.
 * @property {number} seconds Time of the build, seconds.
 */

/**
 * Confidence as a function of the winning share, and the threshold of known segments.
 *
 * @typedef {object} Calibration
 * @property {number[]} confidence_x Winning shares at the knots, 0 to 1, increasing. Between knots the curve is linear.
 * @property {number[]} confidence_y Confidences at the knots, 0 to 1, not decreasing; as many as shares.
 * @property {number} known_threshold A segment is known from this familiarity on, a cosine of -1 to 1. The familiarity is the mean of two cosines, or the cosine of the segment alone if `calibrated` is false.
 * @property {string} how Data that curve and threshold were fitted on; if not calibrated, why not.
 * @property {boolean} [calibrated] False: the exemplars did not allow a calibration, for example because there are none. No confidence is given then, and the knots are not used.
 */

/**
 * Who sends the request.
 *
 * @typedef {object} Caller
 * @property {string} name Name of the key; `local` where the service asks for no keys.
 * @property {"reader"|"curator"} role A reader may read; a curator may also edit.
 * @property {boolean} keys Whether the service asks for keys.
 * @property {Limit[]} limits Limits that hold for the caller; empty: there are none.
 */

/**
 * Why edits are carried over.
 *
 * @typedef {object} Carry
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * The edit that carried over edits of earlier releases.
 *
 * @typedef {object} CarryResult
 * @property {string} release Name of the release.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {number|null} revision Number of the edit of kind carry, which can be reverted; null: no edits waited.
 * @property {string|null} summary The edit in words; null: no edits waited.
 * @property {number} exemplars Number of exemplars that it makes alive.
 * @property {string[]} left What could not be carried over and why, in words; empty: nothing.
 */

/**
 * A class of a COCO file. Other fields are not used.
 *
 * @typedef {object} Category
 * @property {number} id What `category_id` of annotations refers to.
 * @property {string} name Name of the class; a new name creates a class.
 */

/**
 * An edit of exemplars that is not made.
 *
 * @typedef {object} Change
 * @property {string[]} [remove] Exemplars to remove.
 * @property {NewLabel[]} [relabel] To relabel.
 */

/**
 * A segment of another image whose label would be different.
 *
 * @typedef {object} ChangeElsewhere
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string|null} before Name of the class that it has at present; null: it has none.
 * @property {string|null} after Name of the class that it would have; null: none.
 * @property {number} area Number of pixels.
 */

/**
 * A new class, or, with a class_id, the changes to an existing class.
 *
 * @typedef {object} ClassBody
 * @property {number|null} [class_id] The class to change; null: create one.
 * @property {string|null} [name] Its name, 1 to 60 characters.
 * @property {string|null} [color] Colour of the class as #rrggbb.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * A class that was created or changed.
 *
 * @typedef {object} ClassChanged
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit|null} edit The edit; null: the class had this name and colour already.
 * @property {ClassInfo} class The class after the edit.
 */

/**
 * A class.
 *
 * @typedef {object} ClassInfo
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} name Name of the class.
 * @property {string} color Colour in which it is drawn.
 */

/**
 * Segments of several images that resemble each other.
 *
 * @typedef {object} Cluster
 * @property {number} size Number of its segments.
 * @property {number} images Number of images that have one of its segments.
 * @property {number} area Sum of the shares of its segments of the area of their images.
 * @property {number} spread Mean cosine of its segments to its centre, weighted by area; 1: all have one direction.
 * @property {NearestClass|null} nearest The class that it resembles most; null: there is no exemplar.
 * @property {ClusterSegment[]} segments Its segments, the largest share of their image first: as many as `members` asks for.
 */

/**
 * The segments of recent images without a sure label, clustered.
 *
 * @typedef {object} ClusterList
 * @property {string} release Name of the release.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {number} images Number of images that were looked at: the newest ones.
 * @property {number} segments Number of segments of these images without a sure label.
 * @property {number} left_out Number of those that are not in a cluster, because there are too many: the smallest ones.
 * @property {number} near Cosine from which on a segment is near the centre of its cluster: the familiarity of known segments, within 0.5 and 0.99. The number of clusters is the smallest tried with which 90 % of the area is near, but at most 64, and at most one for two segments.
 * @property {number} clusters_found Number of clusters, also of those that are not listed.
 * @property {Cluster[]} clusters The clusters, the largest area first.
 */

/**
 * A segment of a cluster, with the label that it has now.
 *
 * @typedef {object} ClusterSegment
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string} segmentation_id Id of the answer.
 * @property {string|null} class_name Name of its nearest class; null: there is no exemplar.
 * @property {boolean} known False: no exemplar is similar enough, so the label should not be trusted.
 * @property {number} area Number of pixels.
 * @property {number} share Share of the area of its image, 0 to 1.
 * @property {number} similarity Cosine to the centre of the cluster.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 */

/**
 * Two releases and the answers whose images they label.
 *
 * @typedef {object} CompareBody
 * @property {string} a Name of a release.
 * @property {string} b Name of another release.
 * @property {string[]} segmentations Ids of answers whose images are labelled with both.
 */

/**
 * The pixels of an image to which a release gives one label.
 *
 * @typedef {object} ComparedClass
 * @property {string|null} class_name Name of the class; null: pixels without a label, which are unknown.
 * @property {string} color Its colour as #rrggbb.
 * @property {number} area Pixels.
 * @property {Mask} mask These pixels.
 */

/**
 * One image labelled by two releases.
 *
 * @typedef {object} ComparedImage
 * @property {string} segmentation_id Id of the answer whose image it is.
 * @property {string} image_url URL of the image.
 * @property {number} width Pixels.
 * @property {number} height Pixels.
 * @property {number} agreement Share of the pixels with the same name, or no label, from both.
 * @property {number} marked_pixels Number of marked pixels.
 * @property {number|null} miou_a mIoU on the marked pixels, 0 to 1, over the classes of the marks; null: no pixel is marked.
 * @property {number|null} miou_b mIoU on the marked pixels, 0 to 1, over the classes of the marks; null: no pixel is marked.
 * @property {ComparedClass[]} a Labels of the first release, the largest area first.
 * @property {ComparedClass[]} b Labels of the second release, the largest area first.
 */

/**
 * Two releases on the same images.
 *
 * @typedef {object} Comparison
 * @property {string} a The first release.
 * @property {string} b The second release.
 * @property {number} agreement Share of the pixels of all images with the same name, or no label, from both.
 * @property {number} marked_pixels Number of marked pixels in all images.
 * @property {number|null} miou_a mIoU on the marked pixels, 0 to 1, over the classes of the marks; null: no pixel is marked.
 * @property {number|null} miou_b mIoU on the marked pixels, 0 to 1, over the classes of the marks; null: no pixel is marked.
 * @property {ComparedImage[]} images The images, in the order of the request.
 */

/**
 * A segment whose label was corrected.
 *
 * @typedef {object} CorrectedSegment
 * @property {number} revision Number of the edit that corrected it.
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string} before Name of its class in the answer.
 * @property {string} after Name of its class after the correction.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 */

/**
 * A correction of this segment's label that is in effect.
 *
 * @typedef {object} Correction
 * @property {number} revision Number of the edit.
 * @property {string} class_name Name of the class.
 * @property {string} author Name of the key of the author; `local` where the service asked for no keys.
 */

/**
 * The device of each step: cpu or cuda.
 *
 * @typedef {object} DeviceSteps
 * @property {string} network What runs the network.
 * @property {string} sorting What sorts pixels.
 * @property {string} search What searches exemplars.
 * @property {string} name Name of the device or of the processor.
 */

/**
 * A part of the annotations that is not used.
 *
 * @typedef {object} DroppedShape
 * @property {number} annotation Number of the annotation, from 0.
 * @property {number|null} ring Number of the polygon in the annotation, from 0; null: the whole annotation.
 * @property {"fewer than three points"|"outside the image"|"covers no pixel"} reason Why it is not used.
 */

/**
 * One change to exemplars or classes.
 *
 * @typedef {object} Edit
 * @property {number} revision Number of the edit.
 * @property {"add"|"label"|"mark"|"remove"|"class"|"revert"|"carry"} kind add: exemplars of a labelled image; label: the corrected label of a segment; mark: parts of answers marked with classes; remove: exemplars removed; class: a class created or changed; revert: an earlier edit reverted; carry: edits of an earlier release of this name carried over.
 * @property {string} release Name of the release.
 * @property {string|null} release_digest SHA-256 that identifies the content of the release: another one may have its name later. Null: a version that did not record it.
 * @property {string} author Name of the key of the author; `local` where the service asked for no keys.
 * @property {string|null} reason Reason that the author gave; null: none.
 * @property {string} created Time in UTC, RFC 3339 with milliseconds.
 * @property {string} summary What the edit does, in one line.
 * @property {string[]} exemplar_ids Exemplars that the edit adds or removes.
 * @property {ClassInfo[]} classes Classes that the edit creates or changes.
 * @property {number|null} reverted_by Number of the edit that reverts this one; null: it is in effect.
 * @property {"all"|"image"} [scope] Where it adds exemplars: whether they vote for segments of every image, or only for those of their own image.
 * @property {string} [segment_id] For a correction: id of the segment.
 * @property {string[]} [segment_ids] For marks: ids of the segments that are marked as a whole.
 * @property {string[]} [replaces] Ids of the exemplars that it removes: for a correction, those of earlier corrections of the segment; for strokes and marks, those whose pixels they mark with another class.
 * @property {number} [reverts] For a revert: number of the reverted edit.
 */

/**
 * The result of an edit.
 *
 * @typedef {object} Edited
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit} edit The edit.
 */

/**
 * What an edit changes in recent answers.
 *
 * @typedef {object} Effect
 * @property {EffectSegment[]} segments Segments whose label changes through this edit.
 * @property {number} answers Number of answers that were compared.
 */

/**
 * A segment whose label an edit changes.
 *
 * @typedef {object} EffectSegment
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string|null} before Name of its class in the answer; null: it had no class.
 * @property {string|null} after Name of the class that it would get now; null: none.
 * @property {boolean} known Whether it would be known now. False: that class is only the nearest one.
 * @property {string|null} image_id SHA-256 of the image file; null where none was recorded.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 */

/**
 * Another recent image, by its newest answer, and what would change in it.
 *
 * @typedef {object} Elsewhere
 * @property {string} segmentation_id Id of the answer.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {number} width Width of the upright image in pixels.
 * @property {number} height Height of the upright image in pixels.
 * @property {number} segments Number of segments of the answer.
 * @property {ChangeElsewhere[]} changed Segments whose label would be different from the one that the exemplars of now give it.
 */

/**
 * A labelled segment that votes on the labels of others.
 *
 * @typedef {object} Exemplar
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} strength How many ordinary exemplars this one counts for in a vote.
 * @property {"all"|"image"} scope all: it votes for segments of every image; image: only for those of its own image.
 * @property {string} source Name of its image.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {number} area Number of pixels.
 * @property {number|null} added_in Number of the edit that added it; null: it is part of the release.
 * @property {number|null} removed_in Number of the edit that removed it; null: it takes part in votes.
 * @property {string|null} author Name of the key that added it; null: it is part of the release.
 * @property {string} release Name of the release.
 * @property {string} image_url Path of its image file.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 * @property {Mask} mask Its pixels in its image.
 */

/**
 * One page of exemplars.
 *
 * @typedef {object} ExemplarList
 * @property {number} total Number of exemplars on all pages.
 * @property {ExemplarSummary[]} exemplars The exemplars of the page, the most recently added first.
 */

/**
 * What an edit of exemplars would change in recent images.
 *
 * @typedef {object} ExemplarPreview
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {number} answers Number of images that were compared.
 * @property {number} compared Number of their segments.
 * @property {EffectSegment[]} changed Segments that would get another label, those of the newest image first. `before` is the label that they would get now without the edit.
 */

/**
 * An exemplar in a list: everything but its mask.
 *
 * @typedef {object} ExemplarSummary
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} strength How many ordinary exemplars this one counts for in a vote.
 * @property {"all"|"image"} scope all: it votes for segments of every image; image: only for those of its own image.
 * @property {string} source Name of its image.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {number} area Number of pixels.
 * @property {number|null} added_in Number of the edit that added it; null: it is part of the release.
 * @property {number|null} removed_in Number of the edit that removed it; null: it takes part in votes.
 * @property {string|null} author Name of the key that added it; null: it is part of the release.
 * @property {string} release Name of the release.
 * @property {string} image_url Path of its image file.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 */

/**
 * The exemplars of a labelled image.
 *
 * @typedef {object} ExemplarsAdded
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit|null} edit The edit; null: there was nothing to change.
 * @property {AddedExemplar[]} exemplars One for each labelled part, whether it is new or not.
 * @property {ClassInfo[]} classes Classes that the edit created.
 * @property {number} already Number of exemplars that existed before.
 * @property {DroppedShape[]} dropped Annotations, and polygons of annotations, that are not used because they cover no pixel.
 * @property {RelabelledAnswer|null} relabelled The whole image, labelled again; null without `segmentation_id`, with relabel=false, or where that failed.
 */

/**
 * The result of giving exemplars other classes.
 *
 * @typedef {object} ExemplarsRelabelled
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit|null} edit The edit; null: there was nothing to change.
 * @property {ExemplarSummary[]} exemplars The exemplars that have taken the place of the others, in the order of the request.
 * @property {ClassInfo[]} classes Classes that the edit created.
 */

/**
 * The result of removing exemplars.
 *
 * @typedef {object} ExemplarsRemoved
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit} edit The edit.
 * @property {number} already Number of exemplars that had been removed before.
 */

/**
 * Why a segment has its label, with all values that are needed to recompute the vote.
 *
 * @typedef {object} Explanation
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string} segmentation_id Id of the answer.
 * @property {number|null} class_id Number of the class; null: there was no exemplar that could vote.
 * @property {string|null} class_name Name of the class; null: there was no exemplar that could vote.
 * @property {number|null} confidence Calibrated probability that the label is right, 0 to 1; null: the segment is not known, or the release is not calibrated.
 * @property {number|null} share Share of the vote that the class has, 0 to 1; null: nothing voted.
 * @property {boolean} known False: no exemplar is similar enough, so the label should not be trusted.
 * @property {number|null} familiarity Mean of image_similarity and the similarity of the nearest exemplar. It is the latter alone if the release is not calibrated, or if an edit added that exemplar. Below the threshold in `calibration` the segment is not known. Null: nothing voted.
 * @property {number|null} image_similarity Mean similarity of the image's segments to their nearest exemplars, weighted by area; null: nothing voted.
 * @property {number} area Number of pixels.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {Mask} mask Its pixels in the image.
 * @property {Vote} vote Settings and result of the vote.
 * @property {Voter[]} exemplars The exemplars that voted, nearest first.
 * @property {Neighbour[]} reserve The next nearest exemplars. They vote if nearer exemplars are removed.
 * @property {RunnerUp|null} runner_up The second class; null: no exemplar voted for another class.
 * @property {number|null} margin Share of the class minus that of the runner-up, 0 to 1; null: nothing voted.
 * @property {string[]|null} flip_set Ids of the smallest set of exemplars whose removal changes the label; null: removing any of the listed exemplars does not change it, or nothing voted.
 * @property {Boundary} boundary How much of the segment lies near other segments.
 * @property {SimilarSegment[]} similar Similar segments of other images, the most similar first.
 * @property {Correction[]} corrections Corrections of this segment's label, the newest first.
 * @property {Calibration|null} calibration How a share becomes a confidence, and from which familiarity on a segment is known; null: the release is gone, see `incomplete`.
 * @property {SearchInfo|null} search What the search index finds of the nearest exemplars; null: it compares with every exemplar.
 * @property {IncompleteExplanation|null} incomplete What is missing because the release is gone; null: nothing. Otherwise `exemplars`, `reserve` and the classes of the vote are empty.
 * @property {string} release Name of the release.
 * @property {string|null} release_digest SHA-256 that identifies the content of the release: another one may have its name later. Null: a version that did not record it.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {string} label_url Path to which a corrected label is sent with POST.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 */

/**
 * One map of a feature extractor.
 *
 * @typedef {object} FeatureGroupInfo
 * @property {string} name Name of the map.
 * @property {number} channels Number of values at each position.
 * @property {number} stride Pixels of the network's input between neighbouring positions.
 */

/**
 * The feature extractor in `features.onnx` of a release that can be adapted.
 *
 * @typedef {object} FeaturesInfo
 * @property {string} name Name of the feature extractor.
 * @property {FeatureGroupInfo[]} groups The maps that it computes.
 */

/**
 * The head that makes embeddings of features.
 *
 * @typedef {object} HeadInfo
 * @property {"identity"|"linear"|"mlp"|"forest"|"softmax"|"ensemble"} kind Kind of the head; identity: the features themselves, projected to fewer values.
 * @property {string[]} groups Names of the maps that it reads.
 * @property {string} chosen Description of this head: its kind and its maps.
 * @property {Record<string, number>} [cross_validated] Mean intersection over union, 0 to 1, of each head that was tried, by its description. It is measured on images that the head was not fitted on, or on such strokes if there is one image. Empty: nothing could be compared.
 * @property {number} [seconds] Time to choose and fit the head, seconds.
 */

/**
 * mIoU, 0 to 1, on labelled images that a build did not use.
 *
 * @typedef {object} HeldOutScores
 * @property {number} images Number of images held out.
 * @property {number|null} miou Of the new release; null: no image could be measured.
 * @property {string|null} compared_with Release that was served meanwhile; null: none was compared.
 * @property {number|null} miou_compared Of that release on the same images, classes matched by name; null: no class matches.
 */

/**
 * The labelled images of an archive as exemplars.
 *
 * @typedef {object} Imported
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {string} format Format of the labels.
 * @property {ImportedImage[]} images Images whose labelled parts are exemplars now.
 * @property {SkippedFile[]} skipped Files that were not used.
 * @property {string[]} notes Other things that a user should know, such as shapes that were left out.
 */

/**
 * The exemplars of one image of an archive.
 *
 * @typedef {object} ImportedImage
 * @property {string} name Name of the file in the archive.
 * @property {number|null} revision Number of the edit; null if all exemplars existed before.
 * @property {number} exemplars Number of exemplars that were added.
 * @property {number} already Number of exemplars that existed before.
 */

/**
 * What is missing of an answer because the release that gave it is gone.
 *
 * @typedef {object} Incomplete
 * @property {string} reason Why, in words.
 * @property {string[]} missing What is missing, in words.
 * @property {string} fix What can be done.
 */

/**
 * What is missing of an explanation, and the neighbours that were recorded.
 *
 * @typedef {object} IncompleteExplanation
 * @property {string} reason Why, in words.
 * @property {string[]} missing What is missing, in words.
 * @property {string} fix What can be done.
 * @property {RecordedNeighbour[]} neighbours The nearest exemplars, nearest first; empty: they were recorded by their places in the release.
 */

/**
 * Work that outlives a request.
 *
 * @typedef {object} Job
 * @property {string} job_id Id of the job.
 * @property {"adapt"|"build"|"carry"|"segment"} kind adapt: the head of a release is fitted again. build: a release is made from labelled images. carry: edits of earlier releases of the name are made on the present one. segment: many images are segmented.
 * @property {"queued"|"running"|"succeeded"|"failed"|"cancelled"|"interrupted"} state interrupted: the service ended before the job did. A job of images goes on instead.
 * @property {string} release The release that it began with.
 * @property {string|null} release_digest SHA-256 that identifies the content of the release: another one may have its name later. Null: a version that did not record it.
 * @property {string} author Name of the key of the author; `local` where the service asked for no keys.
 * @property {string|null} reason Reason that the author gave; null: none.
 * @property {string} created Time in UTC, RFC 3339 with milliseconds.
 * @property {string|null} started When work on it began; null: it has not begun.
 * @property {string|null} ended When it ended; null: it has not ended.
 * @property {string} stage What it is doing, or was doing last: queued, start, snapshot, features, head, calibration, exemplars, activation. Of a build: queued, start, snapshot, images, features, head, calibration, evaluation, comparison, store. Of a carry: queued, start, images, edit. The last stage stores the result: a new release, which is served if that is wanted, or the edit. Of a job of images: queued, images, export.
 * @property {number} done Steps of the stage, or images, that are done.
 * @property {number} total Steps of the stage, or images.
 * @property {number} progress Progress of the whole job, 0 to 1.
 * @property {AdaptationResult|BuildResult|CarryResult|SegmentResult|null} result The new release, the edit, or the export; null until the job has succeeded.
 * @property {string|null} problem Why it failed, or what a job of images waits for; null: neither.
 */

/**
 * An image of a job.
 *
 * @typedef {object} JobImage
 * @property {number} position Its place among the images that were sent, from 0.
 * @property {string} name Name of its file, as it was sent, with its folders in an archive.
 * @property {"waiting"|"running"|"done"|"failed"} state What became of it so far.
 * @property {string|null} segmentation_id Id of its answer; null: it has none yet, or the job does not keep answers.
 * @property {Problem|null} problem Why it failed; null: it has not failed.
 */

/**
 * The images of a job: how many there are in each state, and a page of them.
 *
 * @typedef {object} JobImageList
 * @property {number} waiting Number of images that wait.
 * @property {number} running Number of images that are being segmented.
 * @property {number} done Number of images that are segmented.
 * @property {number} failed Number of images that failed.
 * @property {JobImage[]} images A page of the images, in the order in which they were sent.
 */

/**
 * The right class of a segment, by name or by id.
 *
 * @typedef {object} Label
 * @property {string|null} [class_name] Its name; a new name creates a class.
 * @property {number|null} [class_id] Its id, in place of the name.
 * @property {string|null} [color] Colour of the class as #rrggbb.
 * @property {"all"|"image"} [scope] image: the correction votes only for segments of this image file.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * A segment whose label is different.
 *
 * @typedef {object} LabelChange
 * @property {string} segment_id Id of the segment in the new answer.
 * @property {string} before_segment_id Id of the segment in the earlier answer.
 * @property {string|null} before Name of its class in the earlier answer; null: it had no class.
 * @property {string|null} after Name of its class in the new answer; null: it has no class.
 */

/**
 * Segments of one or several answers, and their classes.
 *
 * @typedef {object} LabelsBody
 * @property {SegmentMark[]} labels Segments and their classes.
 * @property {"all"|"image"} [scope] all: the marks vote for segments of every image; image: only for those of their own image file.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * The licences of the parts of a release.
 *
 * @typedef {object} Licence
 * @property {Record<string, string>} network Licences of the network by their subject: `weights`, `training data`, `statistics` and others.
 * @property {string|null} exemplars Licence of the images that the release was built from; null: the card does not state it.
 * @property {string|null} added Licence of the images that users added; null: the card does not state it.
 */

/**
 * How the caller stands with a limit of its key, or of its address where the service asks for no keys.
 *
 * @typedef {object} Limit
 * @property {"reads_per_minute"|"edits_per_minute"|"images_per_minute"|"images_per_day"|"pixels_per_day"} name What is limited. Images are requests that segment or relabel; pixels are those of images.
 * @property {number} quota The limit.
 * @property {number} window_s Its time in seconds. A day begins at midnight UTC.
 * @property {number} remaining What is left of the quota now.
 * @property {number} reset_s Seconds until the whole quota is available again.
 */

/**
 * The process is running.
 *
 * @typedef {object} Liveness
 * @property {"ok"} status Always ok.
 */

/**
 * The result of marks on an answer.
 *
 * @typedef {object} Marked
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit|null} edit The edit; null: there was nothing to change.
 * @property {AddedExemplar[]} exemplars One for each marked part, whether it is new or not.
 * @property {ClassInfo[]} classes Classes that the edit created.
 * @property {RelabelledAnswer|null} relabelled The whole image, labelled again; null where that failed.
 */

/**
 * Marks on one answer. A stroke covers earlier strokes, and all strokes cover whole segments.
 *
 * @typedef {object} MarksBody
 * @property {SegmentMark[]} [labels] Whole segments of the answer and their classes.
 * @property {Stroke[]} [strokes] Lines and areas in the image, with their classes.
 * @property {"all"|"image"} [scope] all: the marks vote for segments of every image; image: only for those of their own image file.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * What marks would change. Nothing is written.
 *
 * @typedef {object} MarksPreview
 * @property {RelabelledAnswer} relabelled The whole image as it would be labelled. No answer has its ids, and `index_revision` is the present one.
 * @property {Elsewhere[]} elsewhere Other images, the newest first, with or without changes.
 */

/**
 * Pixels of one region as COCO compressed run lengths; `pycocotools.mask.decode` reads it.
 *
 * @typedef {object} Mask
 * @property {[number, number]} size [height, width] of the image in pixels.
 * @property {string} counts Compressed run lengths, column by column.
 */

/**
 * IoU of one class on held-out images, 0 to 1.
 *
 * @typedef {object} MeasuredClass
 * @property {string} name Name of the class.
 * @property {number|null} iou Of the new release; null: the class is not in these images.
 * @property {number|null} iou_compared Of the release before; null: not in these images, or nothing was compared.
 */

/**
 * The class that a cluster resembles most.
 *
 * @typedef {object} NearestClass
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} similarity Cosine of the centre of the cluster to the nearest exemplar.
 */

/**
 * One of the nearest exemplars of a segment.
 *
 * @typedef {object} Neighbour
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} strength How many ordinary exemplars this one counts for in a vote.
 * @property {"all"|"image"} scope all: it votes for segments of every image; image: only for those of its own image.
 * @property {string} source Name of its image.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {number} area Number of pixels.
 * @property {number|null} added_in Number of the edit that added it; null: it is part of the release.
 * @property {number|null} removed_in Number of the edit that removed it; null: it takes part in votes.
 * @property {string|null} author Name of the key that added it; null: it is part of the release.
 * @property {string} release Name of the release.
 * @property {string} image_url Path of its image file.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 * @property {Mask} mask Its pixels in its image.
 * @property {number} similarity Cosine of the two prototypes; 1: same direction. A float32 with all its digits.
 */

/**
 * Description of the network of a release.
 *
 * @typedef {object} NetworkInfo
 * @property {string} name Name of the network: its backbone and what was trained or fitted on it.
 * @property {string} backbone Name of the pretrained network or of the feature extractor inside it.
 * @property {number} [dimension] Number of values of an embedding, which is a unit vector.
 * @property {number} [stride] Pixels of the network's input between neighbouring embeddings.
 * @property {number} parameters Number of weights.
 * @property {number} opset Version of the ONNX operators that it uses.
 */

/**
 * A segmented image, and how long it took.
 *
 * @typedef {object} NewAnswer
 * @property {string} segmentation_id Id of the answer.
 * @property {number} width Width of the upright image in pixels.
 * @property {number} height Height of the upright image in pixels.
 * @property {string} release Name of the release.
 * @property {string|null} release_digest SHA-256 that identifies the content of the release: another one may have its name later. Null: a version that did not record it.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {ClassInfo[]} classes Classes that segments could take.
 * @property {Segment[]} segments The segments. Each pixel of the image is in exactly one of them.
 * @property {string} image_id SHA-256 of the image file.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string|null} conversion What was done to the values of the image when it was decoded, if they were not 8 bits of grey or RGB; null: nothing, or an old answer.
 * @property {number} page Number of the page of the file that was sent, from 0. The image is this page alone.
 * @property {number} pages How many pages the file has: 1 for most, more for some TIFFs.
 * @property {Incomplete} [incomplete] For an earlier answer whose release is gone: what is missing. Its segments have no exemplars, and classes that no edit named are called by their number.
 * @property {Timings} timings_ms Time of each stage in milliseconds.
 */

/**
 * An exemplar and its new class, by name or by id.
 *
 * @typedef {object} NewLabel
 * @property {string} exemplar_id Id of an exemplar.
 * @property {string|null} [class_name] Name of the class; a new name creates a class.
 * @property {number|null} [class_id] Id of the class, instead of a name.
 * @property {string|null} [color] Colour of the class as #rrggbb.
 */

/**
 * Exemplars that get other classes.
 *
 * @typedef {object} NewLabels
 * @property {NewLabel[]} labels The exemplars and their new classes.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * An empty release to make.
 *
 * @typedef {object} NewRelease
 * @property {string} name Its name: 1 to 100 letters, digits, dots, dashes and underscores, the first a letter or a digit.
 * @property {string} [features] Release whose features it uses: `general`, or another one with `starts_empty` in GET /releases.
 */

/**
 * A webhook that was just made.
 *
 * @typedef {object} NewWebhook
 * @property {string} webhook_id Id of the webhook.
 * @property {string} url Where events are sent.
 * @property {("edit.made"|"job.ended")[]} events What is sent: edit.made, each edit; job.ended, each job that succeeded, failed or was cancelled or interrupted.
 * @property {string} author Name of the key of the author; `local` where the service asked for no keys.
 * @property {string} created Time in UTC, RFC 3339 with milliseconds.
 * @property {"active"|"failing"|"stopped"} state failing: the last try failed, and another one follows. stopped: nothing is sent until it is resumed.
 * @property {number} waiting Number of events that wait.
 * @property {number} failures Number of tries in a row that failed.
 * @property {string|null} problem Why the last try failed, or why it was stopped; null: it neither failed nor was stopped.
 * @property {string|null} next_try Nothing is sent before; null: the next event is sent at once.
 * @property {string|null} delivered When the last event was delivered; null: none was.
 * @property {string} secret Verifies the signatures of its events. It is shown here only.
 */

/**
 * A class that segments may take.
 *
 * @typedef {object} OfferedClass
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} name Name of the class.
 * @property {string} color Colour in which it is drawn.
 * @property {number} exemplars Number of exemplars of this class that take part in votes.
 * @property {number} for_one_image How many of these vote only for segments of their own image.
 * @property {"release"|"edit"} origin Whether the release or an edit brought the class.
 */

/**
 * Outlines of one region.
 *
 * @typedef {object} PolygonMask
 * @property {[number, number]} size [height, width] of the image in pixels.
 * @property {number[][][]} polygons Closed rings of points [x, y] in pixels. Holes run in the opposite direction.
 */

/**
 * Preprocessing of the network's input: resize, then (rgb - mean) / std, then pad.
 *
 * @typedef {object} Preprocessing
 * @property {number} working_size Longest side of the resized image in pixels.
 * @property {number} [multiple_of] The right and bottom edges are repeated until both sides are multiples of this number of pixels.
 * @property {[number, number, number]} mean Mean of red, green and blue on the scale 0 to 255; it is subtracted.
 * @property {[number, number, number]} std Standard deviation of red, green and blue on the scale 0 to 255; the difference is divided by it.
 * @property {"bilinear"} [resample] Interpolation of the resized image.
 */

/**
 * An error as RFC 9457 problem JSON: what is wrong, what was received, what is allowed, and how to fix it.
 *
 * @typedef {object} Problem
 * @property {string} type Always about:blank: `title` and `status` say what kind it is.
 * @property {string} title The phrase of the status.
 * @property {number} status HTTP status.
 * @property {string} detail What is wrong, in one sentence.
 * @property {unknown} [received] What the request contained, shortened.
 * @property {unknown} [allowed] What it may contain.
 * @property {string} [fix] What to do about it.
 * @property {string} [request_id] Id of the request, also in the header X-Request-ID and in the log.
 */

/**
 * The network in bytes, `network.int8.onnx`, which computes faster on processors that multiply bytes.
 *
 * @typedef {object} QuantisedInfo
 * @property {string} calibrated_on Images on which the ranges of its maps were found.
 * @property {string} chosen_on Images on which its layers in float32 were chosen.
 * @property {string[]} float_layers Names of the layers that compute in float32.
 * @property {number} layers Number of convolutions.
 * @property {number} cosine Mean cosine between its embeddings and those in float32, on the images of the choice.
 * @property {number} cosine_p01 The cosine that 99 of 100 embeddings exceed.
 * @property {Record<string, QuantisedScores>} [measured] What it loses, by the labelled images that it was measured on.
 */

/**
 * What a network in bytes loses on labelled images, beside the same release with its network in float32.
 *
 * @typedef {object} QuantisedScores
 * @property {number} images Number of images.
 * @property {number} miou Mean intersection over union with the network in bytes.
 * @property {number} miou_float32 Mean intersection over union with the network in float32.
 * @property {number} agreement Share of the pixels that get the same class from both.
 */

/**
 * The service can segment images.
 *
 * @typedef {object} Readiness
 * @property {"ready"} status Always ready; a service that is not answers 503.
 * @property {string} release Name of the release.
 * @property {string} release_digest SHA-256 that identifies its content.
 * @property {number} earlier_edits Number of edits that were made on earlier releases of this name. They have no effect on this one until they are carried over: POST /releases/{name}/carry.
 * @property {"cpu"|"cuda"} device Device in the settings.
 * @property {string} runs_on Provider by which ONNX Runtime runs the network.
 * @property {8|16|32} network_bits Bits of the numbers in the network: 8 for int8, where the release and the processor allow it.
 * @property {DeviceSteps} steps_run_on What each step runs on.
 * @property {number} exemplars Number of exemplars that take part in votes.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 */

/**
 * A neighbour of a segment, of which only the record is left.
 *
 * @typedef {object} RecordedNeighbour
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} similarity Cosine of the two prototypes; 1: same direction. A float32 with all its digits.
 * @property {string|null} class_name Name of its class; null: only the release knew it.
 * @property {boolean} voted False: it was in reserve.
 */

/**
 * Times of relabelling. Neither the network nor pixel sorting runs.
 *
 * @typedef {object} RelabelTimings
 * @property {number} retrieve Searching exemplars and voting.
 * @property {number} total All stages.
 */

/**
 * The segments of an earlier answer, labelled with the present exemplars.
 *
 * @typedef {object} RelabelledAnswer
 * @property {string} segmentation_id Id of the answer.
 * @property {number} width Width of the upright image in pixels.
 * @property {number} height Height of the upright image in pixels.
 * @property {string} release Name of the release.
 * @property {string|null} release_digest SHA-256 that identifies the content of the release: another one may have its name later. Null: a version that did not record it.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {ClassInfo[]} classes Classes that segments could take.
 * @property {Segment[]} segments The segments. Each pixel of the image is in exactly one of them.
 * @property {string|null} image_id SHA-256 of the image file; null where none was recorded.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string|null} conversion What was done to the values of the image when it was decoded, if they were not 8 bits of grey or RGB; null: nothing, or an old answer.
 * @property {number} page Number of the page of the file that was sent, from 0. The image is this page alone.
 * @property {number} pages How many pages the file has: 1 for most, more for some TIFFs.
 * @property {Incomplete} [incomplete] For an earlier answer whose release is gone: what is missing. Its segments have no exemplars, and classes that no edit named are called by their number.
 * @property {string} relabelled_from Id of the earlier answer.
 * @property {LabelChange[]} changed Segments whose label is different.
 * @property {RelabelTimings} timings_ms Time of each stage in milliseconds.
 */

/**
 * The card of a release: how it was made, how it was measured, and its licence.
 *
 * @typedef {object} ReleaseCard
 * @property {number} [format_version] Version of the card's format.
 * @property {string} name Name of the release.
 * @property {string|null} created When it was built; null if its card does not say it.
 * @property {string} description What it is for.
 * @property {ReleaseClass[]} classes Its classes. Their ids are 0, 1, 2, ... in order. An empty release has none.
 * @property {number[]} [retired] Ids of classes that have no exemplars and are not offered. No other class gets their ids.
 * @property {NetworkInfo} network The network that computes embeddings.
 * @property {Preprocessing} preprocessing How an image is prepared for the network.
 * @property {SortingInfo} sorting How pixels are sorted into segments.
 * @property {RetrievalInfo} retrieval How exemplars are searched and vote.
 * @property {Calibration} calibration How a share becomes a confidence, and from which familiarity on a segment is known.
 * @property {SearchInfo|null} [search] What the index finds; null: it compares with every exemplar, or was not measured.
 * @property {FeaturesInfo|null} [features] The feature extractor; null: the release cannot be adapted.
 * @property {HeadInfo|null} [head] The head that makes embeddings of features; null: the network has none.
 * @property {QuantisedInfo|null} [quantised] The network in bytes, and what it loses; null: there is none.
 * @property {Record<string, any>} [provenance] What it was built with: the version of the software, and the network.
 * @property {Licence} licence Licences of its parts.
 * @property {Record<string, any>} [data] Where its exemplars and its calibration come from, with their numbers.
 * @property {Record<string, any>} [training] How the network was trained.
 * @property {Record<string, any>} [metrics] Measured results, by what was measured; scores are 0 to 1.
 */

/**
 * A class in a release's card.
 *
 * @typedef {object} ReleaseClass
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} name Name of the class, unique in the release.
 * @property {[number, number, number]} color Colour as [red, green, blue], each 0 to 255.
 */

/**
 * A release in a list. What only its card says is null if the card cannot be read.
 *
 * @typedef {object} ReleaseSummary
 * @property {string} name Name of the release.
 * @property {string|null} digest SHA-256 that identifies its content; null if its files cannot be read.
 * @property {boolean} active Whether it is served.
 * @property {boolean} stored Whether it is in the store. False: it was given by its path, and a restart without this path does not find it.
 * @property {string|null} created When it was built; null if its card does not say it.
 * @property {string|null} description What it is for; null if its card cannot be read.
 * @property {string|null} problem Why it cannot be served; null: it can be served.
 * @property {boolean} bundled Whether the package contains it.
 * @property {number|null} classes Number of classes; null if its card cannot be read.
 * @property {number|null} exemplars Number of exemplars; null if its card does not contain it.
 * @property {NetworkInfo|null} network Its network; null if its card cannot be read.
 * @property {Record<string, any>|null} metrics Measured results and how they were measured; null if its card cannot be read.
 * @property {Licence|null} licence Licences of its parts; null if its card cannot be read.
 * @property {number} edits Number of edits made on it. They apply whenever it is served.
 * @property {number} earlier_edits Number of edits that were made on earlier releases of this name. They are kept, and have no effect on this one until POST /releases/{name}/carry carries them over.
 * @property {boolean} adaptable Whether POST /adapt can fit its head: it contains the feature extractor.
 * @property {boolean} starts_empty Whether POST /releases can make an empty release with its features.
 * @property {string|null} parent Release that it was made of; null: none.
 * @property {AdaptedScores|null} adapted Scores of its adaptation; null: it was not adapted.
 * @property {HeldOutScores|null} built Scores on the images that were held out of its build; null: none were.
 */

/**
 * Exemplars to remove.
 *
 * @typedef {object} Removal
 * @property {string[]} exemplar_ids Their ids.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * Which events are sent.
 *
 * @typedef {object} Resume
 * @property {boolean} [skip] Leave out the events that wait, and send only later ones.
 */

/**
 * Settings of the vote of the nearest exemplars.
 *
 * @typedef {object} RetrievalInfo
 * @property {number} [k] Number of exemplars that vote on a segment.
 * @property {number} [kappa] Concentration: the weight of a vote is strength * exp(kappa * cosine).
 * @property {string} [index_factory] Kind of the search index, in the notation of the FAISS index factory.
 * @property {number|null} [nprobe] Inverted lists that a search visits for each segment. More find more and take longer. null: as stored with the index; when a release is written, it is chosen so that the index finds 99 of 100.
 * @property {number|null} [rerank] Candidates for each exemplar that votes, of which the exact cosines are computed; for an index that keeps compressed vectors. null: 1; when a release is written, it is chosen as `nprobe` is.
 * @property {number} [shards] Parts of the index, each in its own file, that are searched in parallel.
 * @property {boolean} [on_disk] Whether index and exemplars are mapped from their files instead of read into memory. Only what searches need is then in memory, and several processes share it.
 */

/**
 * Why an edit is reverted.
 *
 * @typedef {object} Revert
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * The class with the second largest share.
 *
 * @typedef {object} RunnerUp
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} weight Share of the vote, 0 to 1.
 * @property {Neighbour[]} exemplars Its nearest exemplars at the time of the answer, at most 5.
 */

/**
 * What an approximate search index finds of the exemplars that are nearest, measured when the release was written. A query was a prototype of an exemplar, moved as far as its nearest other exemplar is away.
 *
 * @typedef {object} SearchInfo
 * @property {string} index_factory Kind of the search index, in the notation of the FAISS index factory.
 * @property {number} k Number of nearest exemplars that were asked for.
 * @property {number} recall Share of the nearest exemplars that the index found, in the mean.
 * @property {number} recall_p05 The share that 95 of 100 queries reached.
 * @property {number} queries Number of queries.
 * @property {number|null} [nearest] Share of the queries of which the index found the very nearest exemplar.
 */

/**
 * A segment of the image with its label.
 *
 * @typedef {object} Segment
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {number|null} class_id Number of the class; null: there was no exemplar that could vote.
 * @property {string|null} class_name Name of the class; null: there was no exemplar that could vote.
 * @property {number|null} confidence Calibrated probability that the label is right, 0 to 1; null: the segment is not known, or the release is not calibrated.
 * @property {boolean} known False: no exemplar is similar enough, so the label should not be trusted.
 * @property {number|null} share Share of the vote that the class has, 0 to 1; null: nothing voted.
 * @property {number|null} margin `share` minus the share of the second class, 0 to 1; null: nothing voted.
 * @property {number} area Number of pixels.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {Mask|PolygonMask} [mask] Run lengths with masks=rle, outlines with masks=polygon, absent with masks=none.
 * @property {SegmentExemplar[]} exemplars The exemplars with the largest similarity, best first: as many as `exemplars` asks for.
 */

/**
 * An exemplar that voted on a segment.
 *
 * @typedef {object} SegmentExemplar
 * @property {string} exemplar_id Id of the exemplar.
 * @property {string} class_name Name of the class.
 * @property {number} similarity Cosine of the two prototypes; 1: same direction. A float32 with all its digits.
 * @property {number} weight Share of the vote, 0 to 1.
 */

/**
 * The result of correcting a label: the segment is now an exemplar.
 *
 * @typedef {object} SegmentLabelled
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit|null} edit The edit; null: there was nothing to change.
 * @property {Exemplar} exemplar The segment as an exemplar of the right class.
 * @property {number} strength Strength that it needs to take the label. Usually 1.
 * @property {RelabelledAnswer|null} relabelled The whole image, labelled again; null with relabel=false, or where that failed.
 * @property {ClassInfo[]} classes Classes that the edit created.
 */

/**
 * A whole segment and its class, by name or id.
 *
 * @typedef {object} SegmentMark
 * @property {string} segment_id Id of the segment.
 * @property {string|null} [class_name] Name of its class; a new name creates a class.
 * @property {number|null} [class_id] Id of its class, instead of a name.
 * @property {string|null} [color] Colour #rrggbb of the class if it is created.
 */

/**
 * The result of a job of images: an export as a file.
 *
 * @typedef {object} SegmentResult
 * @property {string} format Format of the export.
 * @property {string} file Name of the file.
 * @property {string} media_type Its media type.
 * @property {number} bytes Its size.
 * @property {number} images Number of images in it.
 * @property {number} failed Number of images that could not be segmented.
 * @property {boolean} kept_answers Whether the answers were recorded, so that they can be explained.
 * @property {string} result_url Path of the file.
 */

/**
 * The result of labelling segments of several answers.
 *
 * @typedef {object} SegmentsLabelled
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit|null} edit The edit; null: there was nothing to change.
 * @property {AddedExemplar[]} exemplars One for each segment, whether it is new or not.
 * @property {ClassInfo[]} classes Classes that the edit created.
 */

/**
 * Answers to export.
 *
 * @typedef {object} Selection
 * @property {string[]} segmentation_ids Their ids.
 * @property {"coco"|"png"|"color-png"|"yolo"|"geojson"|"label-studio"|"cvat"|"labelme"|"csv"} [format] Format of the export.
 * @property {boolean} [images] Also export the image files that are still kept.
 * @property {boolean|null} [polygons] Outlines or masks, in formats that have both. By default, what the format usually has.
 * @property {boolean} [single] One file for all images instead of an archive, in the formats coco, label-studio, cvat and csv.
 * @property {boolean} [join] Touching segments of one class are one object, such as a nucleus that consists of several segments.
 * @property {Record<string, string>} [names] Names of the image files in the export, by the ids of the answers. The service does not store names of files. Equal names are made unique, and characters that a file system refuses are replaced. Without a name, the file is named by the id of its answer.
 */

/**
 * The pixels of a shape: as COCO run lengths, or as polygons. Either form is that of answers.
 *
 * @typedef {object} ShapeMask
 * @property {[number, number]} size [height, width] of the upright image in pixels.
 * @property {string|number[]|null} [counts] Lengths of runs of pixels, column by column, alternately outside and inside; the first is outside. They are compressed as COCO does, or a list of numbers.
 * @property {(number[]|[number, number][])[]|null} [polygons] Instead of run lengths: outlines in pixels of the upright image, each [x, y, x, y, ...] or [[x, y], ...]. One outline needs no list around it. A pixel belongs to the shape if its centre is inside an odd number of outlines: an outline inside another is a hole. Parts outside the image are left out.
 */

/**
 * A key to sign in with.
 *
 * @typedef {object} SignIn
 * @property {string} key A key of `segsort keys new`.
 */

/**
 * A segment of an earlier answer with a similar prototype.
 *
 * @typedef {object} SimilarSegment
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string|null} class_name Name of its class in that answer; null: it had no class.
 * @property {boolean} known False: no exemplar is similar enough, so the label should not be trusted.
 * @property {number|null} confidence Calibrated probability that the label is right, 0 to 1; null: the segment is not known, or the release is not calibrated.
 * @property {number} similarity Cosine of the two prototypes; 1: same direction. A float32 with all its digits.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 */

/**
 * A file of an archive that was not used.
 *
 * @typedef {object} SkippedFile
 * @property {string} name Name of the file in the archive.
 * @property {string} reason Why it was not used.
 */

/**
 * Settings of pixel sorting, which divides an image into segments.
 *
 * @typedef {object} SortingInfo
 * @property {number} [segments] Number of segments that sorting starts with; it ends with at most as many.
 * @property {number} [iterations] Largest number of iterations over all pixels.
 * @property {number} [coarse_iterations] Largest number of iterations over a quarter of the pixels, before the others.
 * @property {number} [location_weight] How much a pixel's location counts beside its embedding, which has length 1: the length of the location at the end of the longer side. 0: not at all.
 * @property {"hard"|"soft"} [assignment] hard: each pixel belongs to one segment; soft: to all, by their probabilities.
 * @property {number} [kappa] Concentration of a segment's embeddings; only for soft assignment.
 * @property {number} [min_area] Smallest area of a segment as a share of the image, 0 to 1; smaller segments are merged.
 * @property {"float32"|"int8"} [precision] Numbers in which pixels are compared with segments. int8 is faster on some processors, and changes only assignments that are almost equally good.
 * @property {number} [min_part] Segments are split where their pixels look like several classes of the exemplars. A part of at least this many pixels, at the network's stride, becomes a segment of its own. 0: segments are not split.
 */

/**
 * Marked pixels and their class, by name or id. Exactly one of `points` (with `width`), `polygon` and `mask`.
 *
 * @typedef {object} Stroke
 * @property {string|null} [class_name] Name of its class; a new name creates a class.
 * @property {number|null} [class_id] Id of its class, instead of a name.
 * @property {string|null} [color] Colour #rrggbb of the class if it is created.
 * @property {[number, number][]|null} [points] A line: [x, y] in pixels of the upright image at its full size. A single point is a dot.
 * @property {number|null} [width] Of a line, in pixels of the upright image, at most its longer side.
 * @property {[number, number][][]|null} [polygon] An area: outlines of three or more points [x, y]. A pixel belongs to it if its centre is inside an odd number of outlines.
 * @property {StrokeMask|null} [mask] An area: its pixels, for example a piece of a segment.
 */

/**
 * Pixels as COCO run lengths, in the form that answers have.
 *
 * @typedef {object} StrokeMask
 * @property {[number, number]} size [height, width] of the upright image in pixels.
 * @property {string|number[]} counts Run lengths down the columns, compressed as COCO does, or a list of numbers.
 */

/**
 * An image to label next.
 *
 * @typedef {object} Suggestion
 * @property {string} segmentation_id Id of the newest answer of the image.
 * @property {string} image_id SHA-256 of the image file.
 * @property {string} image_url Path of the image file.
 * @property {number} width Width of the upright image in pixels.
 * @property {number} height Height of the upright image in pixels.
 * @property {string} created Time in UTC, RFC 3339 with milliseconds.
 * @property {number} score How much closer the segments of all these images come to a labelled one, if this image is labelled after those before it in the list: the sum over segments of the increase of the largest cosine, weighted by their share of the area and their uncertainty.
 * @property {number} unknown Share of its area that is unknown, 0 to 1.
 * @property {number} uncertainty Mean uncertainty of its segments, weighted by area, 0 to 1: 1 for an unknown segment, else 1 minus the confidence, or 1 minus the share of the vote if the release is not calibrated.
 * @property {number} novelty Mean distance, 1 minus cosine, of its segments to the nearest exemplar or segment of a marked image or of an image before it in the list.
 * @property {string[]} reasons Why it is suggested.
 */

/**
 * Images to label next, the best first.
 *
 * @typedef {object} SuggestionList
 * @property {string} release Name of the release.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {number} images Number of images that were looked at: the newest ones.
 * @property {number} marked Number of these of which an edit has marked a part. They are not suggested.
 * @property {Suggestion[]} suggestions The images, the best first.
 */

/**
 * What is in an archive of labelled images.
 *
 * @typedef {object} Survey
 * @property {string} survey_id Id of the archive, for POST /releases/build.
 * @property {string} format Format that was found.
 * @property {string} split Part of the data, where they have parts.
 * @property {number} images Number of labelled images.
 * @property {number} counted Number of images whose labels were read; the others would take too long.
 * @property {SurveyedClass[]} classes Its classes.
 * @property {SkippedFile[]} skipped Files that are not used, at most 100.
 * @property {number} skipped_files Number of files that are not used.
 * @property {string[]} notes What else should be known of the labels.
 * @property {number} held_out About how many images a build would hold out to measure the new release.
 * @property {string} held_out_rule How these are chosen, in words.
 * @property {string} proposed_name A name for the new release.
 */

/**
 * A class of labelled images.
 *
 * @typedef {object} SurveyedClass
 * @property {string} name Its name in the labels.
 * @property {string} color Its colour as #rrggbb.
 * @property {number} images Number of images with it, among those that were counted.
 * @property {number} share Share of the labelled pixels, 0 to 1.
 * @property {string|null} proposed Name that it may get in the new release: that of a class of the served release which differs in case and separators alone, or its own. Null: it is in no image, so that it can be left out.
 */

/**
 * Times of a segmentation.
 *
 * @typedef {object} Timings
 * @property {number} decode Decoding the image file.
 * @property {number} embed Running the network.
 * @property {number} sort Sorting pixels into segments.
 * @property {number} retrieve Searching exemplars and voting.
 * @property {number} total All stages.
 */

/**
 * The vote of the nearest exemplars.
 *
 * @typedef {object} Vote
 * @property {number} k Number of exemplars that voted; 0: there was none.
 * @property {number} kappa Concentration: a larger one gives near exemplars more weight.
 * @property {VotedClass[]} classes Classes with a share, the largest first. Shares sum to 1.
 */

/**
 * The votes for one class, and its colour.
 *
 * @typedef {object} VotedClass
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} weight Share of the vote, 0 to 1.
 * @property {string} color Colour in which the class is drawn.
 */

/**
 * An exemplar that voted; its weight is strength * exp(kappa * similarity), divided by the sum over all voters.
 *
 * @typedef {object} Voter
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} strength How many ordinary exemplars this one counts for in a vote.
 * @property {"all"|"image"} scope all: it votes for segments of every image; image: only for those of its own image.
 * @property {string} source Name of its image.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {number} area Number of pixels.
 * @property {number|null} added_in Number of the edit that added it; null: it is part of the release.
 * @property {number|null} removed_in Number of the edit that removed it; null: it takes part in votes.
 * @property {string|null} author Name of the key that added it; null: it is part of the release.
 * @property {string} release Name of the release.
 * @property {string} image_url Path of its image file.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 * @property {Mask} mask Its pixels in its image.
 * @property {number} similarity Cosine of the two prototypes; 1: same direction. A float32 with all its digits.
 * @property {number} weight Share of the vote, 0 to 1.
 */

/**
 * An address that events are sent to.
 *
 * @typedef {object} Webhook
 * @property {string} webhook_id Id of the webhook.
 * @property {string} url Where events are sent.
 * @property {("edit.made"|"job.ended")[]} events What is sent: edit.made, each edit; job.ended, each job that succeeded, failed or was cancelled or interrupted.
 * @property {string} author Name of the key of the author; `local` where the service asked for no keys.
 * @property {string} created Time in UTC, RFC 3339 with milliseconds.
 * @property {"active"|"failing"|"stopped"} state failing: the last try failed, and another one follows. stopped: nothing is sent until it is resumed.
 * @property {number} waiting Number of events that wait.
 * @property {number} failures Number of tries in a row that failed.
 * @property {string|null} problem Why the last try failed, or why it was stopped; null: it neither failed nor was stopped.
 * @property {string|null} next_try Nothing is sent before; null: the next event is sent at once.
 * @property {string|null} delivered When the last event was delivered; null: none was.
 */

/**
 * A new webhook.
 *
 * @typedef {object} WebhookBody
 * @property {string} url Where events are sent: http or https.
 * @property {("edit.made"|"job.ended")[]} [events] What is sent. By default, everything.
 */

/**
 * What became of a test event.
 *
 * @typedef {object} WebhookTest
 * @property {boolean} delivered Whether the receiver answered with a status 2XX.
 * @property {number|null} status Its status; null: there was no answer.
 * @property {string|null} problem Why the event was not delivered; null: it was.
 * @property {number} seconds Time of the try, seconds.
 */

export {};
