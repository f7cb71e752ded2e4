package audittest

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/pipes"
	"github.com/aws/aws-sdk-go-v2/service/pipes/types"
	"github.com/aws/smithy-go"
)

// A Pipe is the only pipe that there is.
type Pipe struct {
	*Calls
	Name    string
	Created time.Time // the zero time: it is gone
	Latest  bool      // it does not begin at the oldest record of the stream
}

// DescribePipe describes the pipe.
func (p *Pipe) DescribePipe(_ context.Context, in *pipes.DescribePipeInput, _ ...func(*pipes.Options)) (*pipes.DescribePipeOutput, error) {
	out := &pipes.DescribePipeOutput{Name: in.Name}
	var missing error
	err := p.do("DescribePipe", func() {
		if p.Created.IsZero() || *in.Name != p.Name {
			missing = &smithy.GenericAPIError{Code: "NotFoundException", Message: "Pipe " + *in.Name + " does not exist."}
		}
		position := types.DynamoDBStreamStartPositionTrimHorizon
		if p.Latest {
			position = types.DynamoDBStreamStartPositionLatest
		}
		created := p.Created
		out.CreationTime = &created
		out.SourceParameters = &types.PipeSourceParameters{
			DynamoDBStreamParameters: &types.PipeSourceDynamoDBStreamParameters{StartingPosition: position},
		}
	})
	if err == nil {
		err = missing
	}
	return out, err
}
