// What can be drawn: names, units, and a sentence on what each means. The formulas are in
// docs/theory.md. `scale`: 'log' for what is positive over decades, 'signed' for what may be
// negative over decades, 'linear' for the rest.

const THERMOMETERS = [
  ['kinetic', 'Kinetic', 'loss / param', 'log',
    'How vigorously the weights move: the energy of the updates, a parameter. It rises with the learning rate and falls to nothing when a layer freezes.'],
  ['configurational', 'Configurational', 'loss / param', 'signed',
    'What the gradient says of where the weights are: weight times gradient, a parameter. In equilibrium it equals the kinetic temperature.'],
  ['transition', 'Transition', 'loss / nat', 'signed',
    'Loss for entropy since the state began: (E − E₀) / (S − S₀). Positive when the weights concentrated while the loss fell, negative when they spread.'],
  ['differential', 'Differential', 'loss / nat', 'signed',
    'The same slope now: dE/dS over the newest window.'],
  ['noise', 'Noise', 'loss / param', 'log',
    'The temperature that the noise of the gradient alone would give at this learning rate and batch size.'],
  ['velocity', 'Velocity', 'weight²', 'log',
    'Half the mean squared update, a parameter: how fast the weights move in their own units.'],
].map(([key, name, unit, scale, sentence]) =>
  ({key: `temperature.${key}`, short: key, name, unit, scale, sentence, thermometer: true}));

const INSTRUMENTS = [
  ['stability', 'Stability', 'of the edge', 'linear',
    'How near the updates are to growing instead of settling: 1 is the edge of stability. What counts is its rise over the run’s own healthy level.'],
  ['coherence', 'Coherence', '', 'log',
    'How much successive updates agree: 1 is all drift, white noise gives (1 − μ)/(1 + μ), oscillation far less.'],
  ['drift', 'Drift', '', 'signed',
    'Whether the weights’ norm wanders: 0 is stationary, positive outward, negative shrinking.'],
  ['equilibrium', 'Equilibrium', '', 'signed',
    'Configurational over kinetic temperature: 1 in equilibrium.'],
  ['noise_scale', 'Noise scale', 'samples', 'log',
    'The batch size at which the gradient’s noise is as large as its signal.'],
  ['energy', 'Energy', 'loss', 'auto', 'The loss, taken as energy.'],
  ['entropy', 'Entropy', 'nats', 'linear',
    'How spread out the weights are: the differential entropy of each layer’s weights, summed.'],
  ['free_energy', 'Free energy', 'loss', 'linear',
    'What is left of the energy when temperature times entropy is taken away: E − TS.'],
  ['heat_capacity', 'Heat capacity', 'nats', 'log',
    'How much the energy fluctuates for its temperature; a peak marks a change of phase.'],
].map(([key, name, unit, scale, sentence]) => ({key, short: key, name, unit, scale, sentence}));

const OUTPUTS = [
  ['entropy', 'Outputs, entropy', 'nats', 'How varied what the model puts out is: the entropy of its histogram. It falls to 0 when a generative model says one thing only.'],
  ['total_variation', 'Outputs, change', '', 'How much the histogram of outputs differs from the one before: 0 is the same, 1 has nothing in common with it.'],
  ['jensen_shannon', 'Outputs, divergence', 'nats', 'The same by the Jensen-Shannon divergence: 0 is the same, ln 2 has nothing in common with it.'],
].map(([key, name, unit, sentence]) => ({key: `outputs.${key}`, short: key, name, unit, scale: 'linear', sentence}));

const OF_LAYERS = [
  ['update_ratio', 'Update ratio', '', 'log', 'Size of an update over the size of the weights; about 1e−3 is usual.'],
  ['efficiency', 'Efficiency', '', 'linear',
    'The share of the signal’s second moment that the activation lets through: 1 is lossless, near 0 is dead or saturated.'],
  ['heat', 'Heat', 'loss', 'signed', 'Loss that this layer’s updates removed, to first order, since the state began.'],
].map(([key, name, unit, scale, sentence]) => ({key, short: key, name, unit, scale, sentence}));

const STATISTICS = [
  ['w_mean', 'Weights, mean', 'signed'], ['w_var', 'Weights, variance', 'log'],
  ['g_mean', 'Gradient, mean', 'signed'], ['g_var', 'Gradient, variance', 'log'],
  ['u_var', 'Update, variance', 'log'], ['z_var', 'Pre-activations, variance', 'log'],
  ['a_var', 'Activations, variance', 'log'], ['a_active', 'Active units', 'linear'],
  ['a_saturated', 'Saturated units', 'linear'], ['g_noise', 'Gradient noise', 'log'],
  ['w_alpha', 'Tail exponent', 'linear'],
].map(([key, name, scale]) => ({key, short: key, name, unit: '', scale, sentence: 'A statistic as the job sent it.', statistic: true}));

export const LOSS = {key: 'loss', short: 'loss', name: 'Loss', unit: '', scale: 'auto', sentence: 'The loss as the job sent it.'};
const LR = {key: 'lr', short: 'lr', name: 'Learning rate', unit: '', scale: 'log', sentence: 'The learning rate as the job sent it.'};

export const thermometers = THERMOMETERS;
export const instruments = INSTRUMENTS;
export const ofRun = [LOSS, ...THERMOMETERS, ...INSTRUMENTS, LR, ...OUTPUTS];
export const ofLayers = [
  ...THERMOMETERS, ...INSTRUMENTS.filter(m => ['stability', 'coherence', 'drift', 'entropy'].includes(m.key)),
  ...OF_LAYERS, ...STATISTICS,
];

const all = new Map([...ofRun, ...ofLayers].map(m => [m.key, m]));

export const metric = key =>
  all.get(key) || {key, short: key, name: key, unit: '', scale: 'auto', sentence: 'A series of the job’s own.'};
